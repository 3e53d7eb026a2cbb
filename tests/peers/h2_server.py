"""A server of HTTP/2 in clear text that does as the path says. Prints its port, then what happens to it.

    /...            200 with what was asked, as JSON, and trailers
    /plain          200 and nothing else
    /length         200 with a Content-Length and a body of 100 kB
    /refuse         the first such stream of each connection but one is refused
    /goaway         the first connection takes leave of this stream and ends
    /cut            half an answer, then a reset
    /vanish         half an answer, then the connection is gone
    /lost           the connection ends before any answer, the first time
    /mute           nothing is read or written on this connection any more
    /hints          103 before the answer
    /switch         101 before the answer, which HTTP/2 does not have
    CONNECT         for a WebSocket: 200, and what comes is sent back
"""

import json
import socket
import threading
import time

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.settings

seen = {"connections": 0, "refused": 0, "goaways": 0, "lost": 0}
lock = threading.Lock()


def first(what):
    with lock:
        seen[what] += 1
        return seen[what] == 1


class Serving:
    def __init__(self, sock, number):
        self.socket = sock
        self.number = number
        self.streams = {}
        config = h2.config.H2Configuration(client_side=False, header_encoding="utf-8")
        self.h2 = h2.connection.H2Connection(config=config)

    def flush(self):
        self.socket.sendall(self.h2.data_to_send())

    def run(self):
        self.h2.initiate_connection()
        self.h2.update_settings({h2.settings.SettingCodes.ENABLE_CONNECT_PROTOCOL: 1})
        self.flush()
        while True:
            data = self.socket.recv(65536)
            if not data:
                return
            for event in self.h2.receive_data(data):
                if self.handle(event) == "end":
                    return
            self.flush()

    def handle(self, event):
        if isinstance(event, h2.events.RequestReceived):
            fields = [(str(k), str(v)) for k, v in event.headers]
            self.streams[event.stream_id] = {"fields": fields, "body": 0, "trailers": None}
            path = dict(fields).get(":path", "")
            if dict(fields).get(":protocol") == "websocket":
                self.h2.send_headers(event.stream_id, [(":status", "200"), ("x-path", path)])
            elif path == "/refuse" and first("refused"):
                self.streams.pop(event.stream_id)
                self.h2.reset_stream(event.stream_id, h2.errors.ErrorCodes.REFUSED_STREAM)
            elif path == "/goaway" and first("goaways"):
                self.h2.close_connection(last_stream_id=event.stream_id - 2 if event.stream_id > 1 else 0)
                self.flush()
                time.sleep(0.2)
                return "end"
            elif path == "/lost" and first("lost"):
                return "end"
            elif path == "/mute":
                time.sleep(3600)
        elif isinstance(event, h2.events.DataReceived):
            stream = self.streams.get(event.stream_id)
            self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            if stream is not None:
                stream["body"] += len(event.data)
                if dict(stream["fields"]).get(":protocol"):
                    self.h2.send_data(event.stream_id, event.data)
        elif isinstance(event, h2.events.TrailersReceived):
            self.streams[event.stream_id]["trailers"] = [(str(k), str(v)) for k, v in event.headers]
        elif isinstance(event, h2.events.StreamEnded):
            return self.answer(event.stream_id)
        elif isinstance(event, h2.events.StreamReset):
            print(f"reset {event.stream_id}", flush=True)
        return None

    def answer(self, stream_id):
        stream = self.streams.pop(stream_id, None)
        if stream is None:
            return None
        fields = dict(stream["fields"])
        path = fields.get(":path", "")
        send = self.h2.send_headers
        if fields.get(":protocol"):
            self.h2.end_stream(stream_id)
        elif path in ("/cut", "/vanish"):
            send(stream_id, [(":status", "200")])
            self.h2.send_data(stream_id, b"half")
            self.flush()
            if path == "/vanish":
                return "end"
            self.h2.reset_stream(stream_id, h2.errors.ErrorCodes.INTERNAL_ERROR)
        elif path == "/plain" or fields[":method"] == "HEAD":
            send(stream_id, [(":status", "200"), ("x-connection", str(self.number))], end_stream=True)
        elif path == "/length":
            send(stream_id, [(":status", "200"), ("content-length", "60000")])
            for _ in range(6):
                self.h2.send_data(stream_id, b"x" * 10_000)
            self.h2.end_stream(stream_id)
        else:
            if path == "/hints":
                send(stream_id, [(":status", "103"), ("link", "x")])
            elif path == "/switch":
                send(stream_id, [(":status", "101")])
            body = json.dumps({
                "connection": self.number, "fields": stream["fields"],
                "body": stream["body"], "trailers": stream["trailers"],
            }).encode()
            send(stream_id, [(":status", "200"), ("x-connection", str(self.number)), ("set-cookie", "a=1"), ("set-cookie", "b=2")])
            self.h2.send_data(stream_id, body)
            send(stream_id, [("x-trailer", "last")], end_stream=True)
        return None


def serve(sock, number):
    try:
        Serving(sock, number).run()
    except Exception as error:  # Whatever a client does to one connection is that connection's end.
        print(f"ended {type(error).__name__}", flush=True)
    finally:
        sock.close()


def main():
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    print(listener.getsockname()[1], flush=True)
    while True:
        sock, _ = listener.accept()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with lock:
            seen["connections"] += 1
            number = seen["connections"]
        threading.Thread(target=serve, args=(sock, number), daemon=True).start()


main()
