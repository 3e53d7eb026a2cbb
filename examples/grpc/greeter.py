"""A gRPC server without generated code: `greeter.py serve NAME PORT`. And its client: `greeter.py call HOST:PORT NAME`."""

import sys
from concurrent import futures

import grpc


def serve(name, port):
    def greet(request, context):
        return b"Hello " + request + b", says " + name.encode()

    def greet_all(requests, context):
        for request in requests:
            yield greet(request, context)

    server = grpc.server(futures.ThreadPoolExecutor(max_workers=8))
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("hello.Greeter", {
        "Greet": grpc.unary_unary_rpc_method_handler(greet),
        "GreetAll": grpc.stream_stream_rpc_method_handler(greet_all),
    })])
    print(server.add_insecure_port(f"127.0.0.1:{port}"), flush=True)
    server.start()
    server.wait_for_termination()


def call(address, name):
    with grpc.insecure_channel(address) as channel:
        print(channel.unary_unary("/hello.Greeter/Greet")(name.encode(), timeout=10).decode())
        names = (name.encode() for _ in range(3))
        for answer in channel.stream_stream("/hello.Greeter/GreetAll")(names, timeout=10):
            print(answer.decode())
        try:
            channel.unary_unary("/hello.Admin/Stop")(b"", timeout=10)
        except grpc.RpcError as error:
            print(error.code().name)


if sys.argv[1] == "serve":
    serve(sys.argv[2], sys.argv[3])
else:
    call(sys.argv[2], sys.argv[3])
