"""A gRPC server and client without generated code: messages are bytes.

    grpc_peer.py serve            prints its port, then a line for each call it was given up on
    grpc_peer.py call HOST:PORT   makes calls of all kinds and prints what came back as JSON
"""

import json
import sys
import threading
import time
from concurrent import futures

import grpc

MIB = 1 << 20
OPTIONS = [("grpc.max_send_message_length", 64 * MIB), ("grpc.max_receive_message_length", 64 * MIB)]


def echo(request, context):
    context.set_trailing_metadata([("x-length", str(len(request))), ("x-proof-bin", b"\x00\xff")])
    return request


def fail(request, context):
    context.set_trailing_metadata([("x-why", "asked to")])
    context.abort(grpc.StatusCode.FAILED_PRECONDITION, "as asked: 100% ä")


def slow(request, context):
    ended = threading.Event()
    context.add_callback(ended.set)
    ended.wait(20)
    print("given up" if not context.is_active() else "still wanted", flush=True)
    return b""


def count(request, context):
    for number in range(int(request)):
        yield str(number).encode()


def add(requests, context):
    return str(sum(len(request) for request in requests)).encode()


def chat(requests, context):
    for request in requests:
        yield b"re: " + request


def flood(request, context):
    for number in range(int(request)):
        print(number, flush=True)
        yield bytes(64 * 1024)


def serve():
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=64), options=OPTIONS)
    handlers = {
        "Echo": grpc.unary_unary_rpc_method_handler(echo),
        "Fail": grpc.unary_unary_rpc_method_handler(fail),
        "Slow": grpc.unary_unary_rpc_method_handler(slow),
        "Count": grpc.unary_stream_rpc_method_handler(count),
        "Flood": grpc.unary_stream_rpc_method_handler(flood),
        "Add": grpc.stream_unary_rpc_method_handler(add),
        "Chat": grpc.stream_stream_rpc_method_handler(chat),
    }
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("t.Test", handlers)])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    server.wait_for_termination()


def call(address):
    found = {}
    with grpc.insecure_channel(address, options=OPTIONS) as channel:
        unary = channel.unary_unary("/t.Test/Echo")
        answer, made = unary.with_call(b"hello", timeout=10, metadata=[("x-mine", "y")])
        found["unary"] = answer.decode()
        found["trailers"] = {key: repr(value) for key, value in made.trailing_metadata()}

        big = bytes(range(256)) * (8 * MIB // 256)
        found["8 MiB"] = unary(big, timeout=30) == big

        found["server streaming"] = [m.decode() for m in channel.unary_stream("/t.Test/Count")(b"5", timeout=10)]
        pieces = (b"x" * 100_000 for _ in range(50))
        found["client streaming"] = channel.stream_unary("/t.Test/Add")(pieces, timeout=20).decode()

        # Each message is answered before the next is sent, so nothing may be held back.
        said = []
        turn = threading.Semaphore(1)

        def talk():
            for number in range(5):
                turn.acquire()
                yield str(number).encode()

        for message in channel.stream_stream("/t.Test/Chat")(talk(), timeout=10):
            said.append(message.decode())
            turn.release()
        found["bidirectional"] = said

        def status_of(method, request, timeout):
            try:
                channel.unary_unary(method)(request, timeout=timeout)
                return ["OK"]
            except grpc.RpcError as error:
                trailers = dict(error.trailing_metadata() or ())
                return [error.code().name, error.details(), trailers.get("x-why", "")]

        found["failed"] = status_of("/t.Test/Fail", b"", 10)
        found["unknown"] = status_of("/t.Test/None", b"", 10)
        began = time.monotonic()
        found["deadline"] = status_of("/t.Test/Slow", b"", 0.5)
        found["deadline kept"] = time.monotonic() - began < 5

        # Many at a time on one connection.
        calls = [unary.future(str(number).encode(), timeout=20) for number in range(200)]
        found["at a time"] = all(call.result() == str(n).encode() for n, call in enumerate(calls))
    print(json.dumps(found))


def slow_reader(address):
    """Reads a message of a long answer, then nothing for a while, and says how far the server got meanwhile."""
    with grpc.insecure_channel(address, options=OPTIONS) as channel:
        answer = channel.unary_stream("/t.Test/Flood")(b"4000", timeout=60)
        next(answer)
        time.sleep(2)
        print("paused", flush=True)
        total = 1 + sum(1 for _ in answer)
        print(total, flush=True)


if sys.argv[1] == "serve":
    serve()
elif sys.argv[1] == "call":
    call(sys.argv[2])
else:
    slow_reader(sys.argv[2])
