"""WebSocket peers.

    ws_peer.py serve              an echo server of HTTP/1 (the websockets library); prints its port
    ws_peer.py h1 HOST:PORT       a client of HTTP/1 (the same library)
    ws_peer.py h2 HOST:PORT       a client of HTTP/2 (RFC 8441, the h2 library)
    ws_peer.py h2-raw HOST:PORT   the same, with bytes that are no frames
    ws_peer.py h2-denied H:P      the same, for a path that is refused

A client prints what came back as JSON.
"""

import asyncio
import json
import os
import socket
import struct
import sys


async def echo(connection, *_):
    async for message in connection:
        await connection.send(message)


async def serve():
    import websockets

    async with websockets.serve(echo, "127.0.0.1", 0, max_size=1 << 24) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.Future()


async def over_http1(address):
    import websockets

    found = []
    async with websockets.connect(f"ws://{address}/chat", max_size=1 << 24) as connection:
        for message in ["hello", "ä", "x" * 1_000_000]:
            await connection.send(message)
            found.append(await connection.recv() == message)
    print(json.dumps(found))


def frame(opcode, payload):
    mask = os.urandom(4)
    length = len(payload)
    head = bytes([0x80 | opcode])
    if length < 126:
        head += bytes([0x80 | length])
    elif length < 65536:
        head += bytes([0x80 | 126]) + struct.pack(">H", length)
    else:
        head += bytes([0x80 | 127]) + struct.pack(">Q", length)
    return head + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))


def payload_of(data):
    """The first frame's payload and what follows, None if it is not all there."""
    if len(data) < 2:
        return None
    length, at = data[1] & 127, 2
    if length == 126:
        length, at = struct.unpack(">H", data[2:4])[0], 4
    elif length == 127:
        length, at = struct.unpack(">Q", data[2:10])[0], 10
    return (data[at:at + length], data[at + length:]) if len(data) >= at + length else None


class OverHttp2:
    def __init__(self, address, path):
        import h2.config
        import h2.connection
        import h2.events

        self.events = h2.events
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=10)
        config = h2.config.H2Configuration(client_side=True, header_encoding="utf-8")
        self.h2 = h2.connection.H2Connection(config=config)
        self.h2.initiate_connection()
        self.data, self.status, self.fields = b"", None, {}
        self.settled = self.ended = False
        self.pump(lambda: self.settled)
        assert self.h2.remote_settings.enable_connect_protocol == 1
        self.stream = self.h2.get_next_available_stream_id()
        self.h2.send_headers(self.stream, [
            (":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"),
            (":authority", address), (":path", path), ("sec-websocket-version", "13"),
        ])
        self.pump(lambda: self.status is not None)

    def pump(self, done):
        self.socket.sendall(self.h2.data_to_send())
        while not done() and not self.ended:
            data = self.socket.recv(65536)
            if not data:
                self.ended = True
            for event in self.h2.receive_data(data):
                if isinstance(event, self.events.RemoteSettingsChanged):
                    self.settled = True
                elif isinstance(event, self.events.ResponseReceived):
                    self.fields = dict((str(k), str(v)) for k, v in event.headers)
                    self.status = int(self.fields[":status"])
                elif isinstance(event, self.events.DataReceived):
                    self.data += event.data
                    self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                elif isinstance(event, (self.events.StreamEnded, self.events.StreamReset)):
                    self.ended = True
            self.socket.sendall(self.h2.data_to_send())

    def send(self, data):
        while data:
            room = 0
            while room == 0:
                room = min(self.h2.local_flow_control_window(self.stream), self.h2.max_outbound_frame_size)
                if room == 0:
                    before = self.h2.local_flow_control_window(self.stream)
                    self.pump(lambda: self.h2.local_flow_control_window(self.stream) != before)
            self.h2.send_data(self.stream, data[:room])
            data = data[room:]
        self.socket.sendall(self.h2.data_to_send())

    def echoed(self, message):
        self.send(frame(1, message))
        self.pump(lambda: payload_of(self.data) is not None)
        found, self.data = payload_of(self.data)
        return found == message


def over_http2(address):
    client = OverHttp2(address, "/chat")
    found = {"status": client.status, "fields": client.fields}
    found["echoed"] = [client.echoed(m) for m in [b"hello", b"x" * 300_000]] if client.status == 200 else []
    # A closing handshake, then the end of the stream.
    client.send(frame(8, struct.pack(">H", 1000)))
    client.h2.end_stream(client.stream)
    client.pump(lambda: client.ended)
    found["ended"] = client.ended
    print(json.dumps(found))


def raw(address):
    """For a server that sends back whatever comes, frames or not."""
    client = OverHttp2(address, "/chat")
    found = {"status": client.status, "fields": client.fields, "echoed": []}
    for message in [b"hello", b"x" * 50_000]:
        client.send(message)
        client.pump(lambda: len(client.data) >= len(message))
        found["echoed"].append(client.data == message)
        client.data = b""
    client.h2.end_stream(client.stream)
    client.pump(lambda: client.ended)
    found["ended"] = client.ended
    print(json.dumps(found))


def denied(address):
    client = OverHttp2(address, "/secret")
    print(json.dumps({"status": client.status}))


what = sys.argv[1]
if what == "serve":
    asyncio.run(serve())
elif what == "h1":
    asyncio.run(over_http1(sys.argv[2]))
elif what == "h2":
    over_http2(sys.argv[2])
elif what == "h2-raw":
    raw(sys.argv[2])
else:
    denied(sys.argv[2])
