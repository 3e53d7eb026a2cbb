"""A client of HTTP/2 that sends the frames it is told to, sound or not.

    h2_frames.py HOST:PORT malformed | flood NAME | ended NAME | smooth

Prints what came back as JSON.
"""

import json
import socket
import struct
import sys

from hpack import Decoder, Encoder

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = (
    0, 1, 2, 3, 4, 6, 7, 8, 9,
)
END_STREAM, ACK, END_HEADERS = 1, 1, 4
ERRORS = {
    0: "NO_ERROR", 1: "PROTOCOL_ERROR", 2: "INTERNAL_ERROR", 3: "FLOW_CONTROL_ERROR",
    5: "STREAM_CLOSED", 6: "FRAME_SIZE_ERROR", 7: "REFUSED_STREAM", 8: "CANCEL",
    9: "COMPRESSION_ERROR", 11: "ENHANCE_YOUR_CALM", 13: "HTTP_1_1_REQUIRED",
}


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


class Literal(Encoder):
    """Encodes without a table, so that every block stands for itself."""

    def encode(self, fields):
        out = b""
        for name, value in fields:
            name = name if isinstance(name, bytes) else name.encode("latin-1")
            value = value if isinstance(value, bytes) else value.encode("latin-1")
            out += b"\x00" + self.text(name) + self.text(value)
        return out

    @staticmethod
    def text(text):
        length = len(text)
        if length < 127:
            return bytes([length]) + text
        length -= 127
        out = b"\x7f"
        while length >= 128:
            out += bytes([length % 128 + 128])
            length //= 128
        return out + bytes([length]) + text


class Connection:
    def __init__(self, address, settings=b""):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        self.decoder = Decoder()
        self.decoder.max_header_list_size = 1 << 20
        self.encoder = Literal()
        self.goaway = None
        self.closed = False
        self.send(PREFACE + frame(SETTINGS, 0, 0, settings))

    def send(self, data):
        try:
            self.socket.sendall(data)
        except OSError:
            self.closed = True

    def request(self, stream, fields, end=True):
        block = self.encoder.encode(fields)
        self.send(frame(HEADERS, END_HEADERS | (END_STREAM if end else 0), stream, block))

    def frame(self):
        """The next frame, None at the end of the connection."""
        while True:
            if len(self.buffer) >= 9:
                length = struct.unpack(">I", b"\0" + self.buffer[:3])[0]
                if len(self.buffer) >= 9 + length:
                    kind, flags = self.buffer[3], self.buffer[4]
                    stream = struct.unpack(">I", self.buffer[5:9])[0] & 0x7FFFFFFF
                    payload = self.buffer[9:9 + length]
                    self.buffer = self.buffer[9 + length:]
                    if kind == SETTINGS and not flags & ACK:
                        self.send(frame(SETTINGS, ACK, 0))
                    return kind, flags, stream, payload
            try:
                more = self.socket.recv(65536)
            except (ConnectionError, OSError):
                more = b""
            if not more:
                self.closed = True
                return None
            self.buffer += more

    def outcome(self, stream):
        """What becomes of a stream: a status, a reset, or the end of the connection."""
        found = {}
        while True:
            got = self.frame()
            if got is None:
                found["closed"] = True
                return found
            kind, flags, on, payload = got
            if kind == GOAWAY:
                code = struct.unpack(">I", payload[4:8])[0]
                found["goaway"] = ERRORS.get(code, code)
            elif kind == HEADERS:
                fields = dict(self.decoder.decode(payload))
                if on == stream and ":status" in fields:
                    status = int(fields[":status"])
                    if status >= 200:
                        found.setdefault("status", status)
                elif on == stream:
                    found["trailers"] = fields
            elif kind == RST_STREAM and on == stream:
                code = struct.unpack(">I", payload)[0]
                found["reset"] = ERRORS.get(code, code)
                return found
            if on == stream and kind in (HEADERS, DATA) and flags & END_STREAM:
                return found


GET = [(":method", "GET"), (":scheme", "http"), (":authority", "a.example"), (":path", "/")]


def changed(**pseudo):
    return [(name, pseudo.get(name[1:], value)) for name, value in GET]


def without(name):
    return [(known, value) for known, value in GET if known != name]


POST = changed(method="POST")

# Each is fields, and perhaps what comes after them: data, trailers.
MALFORMED = {
    "no :method": (without(":method"),),
    "no :scheme": (without(":scheme"),),
    "no :path": (without(":path"),),
    "empty :path": (changed(path=""),),
    "no authority": (without(":authority"),),
    "two :method": (GET + [(":method", "GET")],),
    "two :path": ([(":path", "/x")] + GET,),
    "unknown pseudo-field": (GET + [(":protocol2", "x")],),
    ":status in a request": (GET + [(":status", "200")],),
    "pseudo-field after a field": ([("x", "y")] + GET,),
    "relative :path": (changed(path="x"),),
    "absolute :path": (changed(path="http://b.example/"),),
    "asterisk of GET": (changed(path="*"),),
    "blank in :path": (changed(path="/a b"),),
    "request in :path": (changed(path="/ HTTP/1.1\r\nx: y\r\n\r\nGET /evil"),),
    "NUL in :path": (changed(path="/\0"),),
    "backslash in :path": (changed(path="/a\\..\\b"),),
    "method with a blank": (changed(method="GET /evil HTTP/1.1\r\nHost: b\r\n\r\nGET"),),
    "odd method": (changed(method="G(T"),),
    "scheme with a blank": (changed(scheme="http x"),),
    "strange scheme": (changed(scheme="ftp"),),
    "CR LF in :authority": (changed(authority="a.example\r\nx: y"),),
    "userinfo in :authority": (changed(authority="u:p@a.example"),),
    "path in :authority": (changed(authority="a.example/x"),),
    "Host contradicts": (GET + [("host", "b.example")],),
    "two Hosts": (without(":authority") + [("host", "a.example"), ("host", "a.example")],),
    "CONNECT": ([(":method", "CONNECT"), (":authority", "a.example:443")],),
    "CONNECT with a path": (changed(method="CONNECT"),),
    ":protocol of GET": (GET + [(":protocol", "websocket")],),
    "unknown :protocol": (changed(method="CONNECT") + [(":protocol", "foo")], b"", None),
    "capital in a name": (GET + [("X-A", "y")],),
    "blank in a name": (GET + [("x y", "z")],),
    "colon in a name": (GET + [("x:y", "z")],),
    "line end in a name": (GET + [("x\r\ny", "z")],),
    "empty name": (GET + [("", "z")],),
    "lookalike": (POST + [("content_length", "0")],),
    "CR LF in a value": (GET + [("x", "y\r\nz: 1")],),
    "LF in a value": (GET + [("x", "y\nz: 1")],),
    "CR in a value": (GET + [("x", "y\rz")],),
    "NUL in a value": (GET + [("x", "y\0z")],),
    "blank before a value": (GET + [("x", " y")],),
    "tab after a value": (GET + [("x", "y\t")],),
    "connection": (GET + [("connection", "close")],),
    "keep-alive": (GET + [("keep-alive", "x")],),
    "proxy-connection": (GET + [("proxy-connection", "x")],),
    "upgrade": (GET + [("upgrade", "h2c")],),
    "transfer-encoding": (POST + [("transfer-encoding", "chunked")], b"0\r\n\r\n"),
    "te: gzip": (GET + [("te", "gzip")],),
    "te: trailers, gzip": (GET + [("te", "trailers, gzip")],),
    "expect": (POST + [("expect", "magic")], b"x"),
    "length without body": (POST + [("content-length", "5")],),
    "length too small": (POST + [("content-length", "1")], b"xyz"),
    "length too large": (POST + [("content-length", "9")], b"xyz"),
    "two lengths": (POST + [("content-length", "3"), ("content-length", "4")], b"xyz"),
    "length with a sign": (POST + [("content-length", "+3")], b"xyz"),
    "length of 2^64+3": (POST + [("content-length", "18446744073709551619")], b"xyz"),
    "empty length": (POST + [("content-length", "")], b"xyz"),
    "content-length in trailers": (POST, b"xyz", [("content-length", "3")]),
    "transfer-encoding in trailers": (POST, b"xyz", [("transfer-encoding", "chunked")]),
    "host in trailers": (POST, b"xyz", [("host", "b.example")]),
    "authorization in trailers": (POST, b"xyz", [("authorization", "Basic x")]),
    "line end in trailers": (POST, b"xyz", [("x", "y\r\nz: 1")]),
    "300 fields": (GET + [("x", "y")] * 300,),
    "long target": (changed(path="/" + "a" * 9000),),
    "large field": (GET + [("x", "y" * 16000)],),
}


def malformed(address):
    found = {}
    for name, case in MALFORMED.items():
        fields, body, trailers = (case + (None, None))[:3]
        connection = Connection(address)
        connection.request(1, fields, end=body is None)
        if body is not None:
            last = END_STREAM if trailers is None and len(case) < 3 else 0
            connection.send(frame(DATA, last, 1, body))
        if trailers is not None:
            connection.request(1, trailers)
        found[name] = connection.outcome(1)
        connection.socket.close()
    return found


def flood(address, name):
    connection = Connection(address)
    connection.frame()
    open_head = frame(HEADERS, END_STREAM, 1, connection.encoder.encode(GET))
    streams = iter(range(1, 1 << 30, 2))

    def reset_at_once():
        stream = next(streams)
        connection.request(stream, GET, end=False)
        return frame(RST_STREAM, 0, stream, struct.pack(">I", 8))

    def made_to_reset():
        stream = next(streams)
        connection.request(stream, GET, end=False)
        return frame(WINDOW_UPDATE, 0, stream, struct.pack(">I", 0))

    def bomb():
        # A large field in the table, named a thousand times over by one byte each.
        stream = next(streams)
        entry = b"\x40" + Literal.text(b"x") + Literal.text(b"y" * 3900)
        block = connection.encoder.encode(GET) + entry + b"\xbe" * 4000
        return frame(HEADERS, END_HEADERS | END_STREAM, stream, block)

    makers = {
        "pings": lambda: frame(PING, 0, 0, b"12345678"),
        "settings": lambda: frame(SETTINGS, 0, 0, b"\0\4\0\0\xff\xff"),
        "priorities": lambda: frame(PRIORITY, 0, 1, b"\0\0\0\0\x10"),
        "window updates": lambda: frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", 1)),
        "empty data": lambda: frame(DATA, 0, 1),
        "unknown frames": lambda: frame(77, 0, 0, b"x"),
        "continuations": lambda: frame(CONTINUATION, 0, 1, b"\x00\x01x\x01y"),
        "empty continuations": lambda: frame(CONTINUATION, 0, 1),
        "resets": reset_at_once,
        "provoked resets": made_to_reset,
        "header bomb": bomb,
    }
    make = makers[name]
    if "continuations" in name:
        connection.send(open_head)
    if name == "empty data":
        connection.request(1, POST, end=False)
    sent = 0
    connection.socket.settimeout(10)
    while sent < 100_000 and not connection.closed:
        batch = b"".join(make() for _ in range(50))
        sent += 50
        connection.send(batch)
        # What comes back is read, or the two would wait for each other.
        connection.socket.setblocking(False)
        try:
            while True:
                more = connection.socket.recv(65536)
                if not more:
                    connection.closed = True
                    break
                connection.buffer += more
        except BlockingIOError:
            pass
        except OSError:
            connection.closed = True
        connection.socket.setblocking(True)
        connection.socket.settimeout(10)
        if b"\x07\0\0\0\0\0" in connection.buffer[3:]:
            break
    found = connection.outcome(0)
    found["sent"] = sent
    return found


def ended(address, name):
    """Does one thing that must not last, and waits for the end. `pause` is how long the client is silent."""
    if name == "closed window":
        # Nothing may be sent to this client.
        connection = Connection(address, b"\0\4" + struct.pack(">I", 0))
        connection.request(1, GET)
        return connection.outcome(1)
    if name == "spent window":
        # This one takes five bytes, and has no reason to offer more.
        connection = Connection(address, b"\0\4" + struct.pack(">I", 5))
        connection.request(1, GET)
        return connection.outcome(1)
    connection = Connection(address)
    if name == "no request":
        return connection.outcome(1)
    if name == "half a head":
        connection.send(frame(HEADERS, END_STREAM, 1, connection.encoder.encode(GET)))
        return connection.outcome(1)
    if name == "half a body":
        connection.request(1, POST, end=False)
        connection.send(frame(DATA, 0, 1, b"x"))
        return connection.outcome(1)
    if name == "too many":
        # The limit is three; these are not answered.
        for stream in range(1, 9, 2):
            connection.request(stream, POST, end=False)
        return connection.outcome(7)
    connection.request(1, GET)
    first = connection.outcome(1)
    then = connection.outcome(3)
    return {"first": first, "then": then}


def smooth(address):
    """Legal cancelling, and pings now and then, for as long as a browser might."""
    connection = Connection(address)
    stream = 1
    for _ in range(20):
        for _ in range(15):
            connection.request(stream, changed(path="/slow"))
            connection.send(frame(RST_STREAM, 0, stream, struct.pack(">I", 8)))
            stream += 2
        connection.send(frame(PING, 0, 0, b"12345678"))
        while True:
            got = connection.frame()
            if got is None:
                return {"closed": True}
            if got[0] == PING and got[1] & ACK:
                break
    connection.request(stream, GET)
    return connection.outcome(stream)


def main():
    address, what = sys.argv[1:3]
    if what == "malformed":
        found = malformed(address)
    elif what == "ended":
        found = ended(address, sys.argv[3])
    elif what == "flood":
        found = flood(address, sys.argv[3])
    else:
        found = smooth(address)
    print(json.dumps(found))


main()
