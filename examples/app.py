#!/usr/bin/env python3
"""A stand-in for the applications of the examples: `app.py NAME PORT [SECONDS]`.

Says its name and what it was asked; takes SECONDS for it. `/status` is answered at once.
"""

import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class App(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path != "/status":
            time.sleep(SECONDS)
        client = self.headers.get("X-Forwarded-For", "nobody it knows")
        body = f"{NAME}: {self.path} for {client}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    NAME, PORT = sys.argv[1], int(sys.argv[2])
    SECONDS = float(sys.argv[3]) if len(sys.argv) > 3 else 0.0
    ThreadingHTTPServer(("0.0.0.0", PORT), App).serve_forever()
