"""A WebSocket server that says everything back: `chat.py serve NAME PORT`. And its client: `chat.py say URL WORDS`."""

import asyncio
import sys

import websockets


async def serve(name, port):
    async def echo(connection, *_):
        async for message in connection:
            await connection.send(f"{name}: {message}")

    async with websockets.serve(echo, "127.0.0.1", int(port)) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.Future()


async def say(url, words):
    async with websockets.connect(url) as connection:
        await connection.send(words)
        print(await connection.recv())


if sys.argv[1] == "serve":
    asyncio.run(serve(sys.argv[2], sys.argv[3]))
else:
    asyncio.run(say(sys.argv[2], sys.argv[3]))
