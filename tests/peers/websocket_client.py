"""Talks to websocket_server.py through a gateway: websocket_client.py ADDRESS HOST. Prints `ok`, or what went wrong."""

import asyncio
import sys

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

address, host = sys.argv[1:]
target, port = address.split(":")


async def main():
    # The URL names the host, and the connection goes to the gateway.
    async with connect(f"ws://{host}/chat", host=target, port=int(port), max_size=None) as socket:
        for message in ["hello", b"\x00\x01", "x" * 2_000_000]:
            await socket.send(message)
            assert await socket.recv() == message, len(message)
        for number in range(200):
            await socket.send(str(number))
        for number in range(200):
            assert await socket.recv() == str(number)
        # Silences are no failures.
        await asyncio.sleep(1.5)
        await socket.send("still there")
        assert await socket.recv() == "still there"
        await socket.ping()
        await socket.send("close")
        try:
            await socket.recv()
        except ConnectionClosed as closed:
            assert (closed.rcvd.code, closed.rcvd.reason) == (4001, "as asked"), closed
        else:
            raise AssertionError("not closed")


asyncio.run(asyncio.wait_for(main(), 15))
print("ok")
