"""A web server on loopback that answers as the web once did: ``python -m benchmarks.link_rot_server PLAN.json``.

In: a plan, for each host (an address of 127.0.0.0/8) the status, the bytes and the seconds of each of its URLs, by
number; a host without a plan of its own URLs is silent. Out: the port it listens on, as its first line; the number of
requests it had in the fullest second of any host, as its last, once its input ends.
"""

import asyncio
import io
import json
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

SIZES = ((64, 48), (320, 240), (640, 480))  # of the pictures; bytes beyond them are padding after the picture's end
PADDING = bytes(1 << 16)


def _picture(size: tuple[int, int]) -> bytes:
    generator = np.random.default_rng(size[0])
    coarse = Image.fromarray(generator.integers(0, 255, (12, 16, 3), dtype=np.uint8))
    stream = io.BytesIO()
    coarse.resize(size, Image.Resampling.BICUBIC).save(stream, "JPEG", quality=85)
    return stream.getvalue()


class Replay:
    """The answers of all hosts, and when each host was asked."""

    def __init__(self, plan: dict[str, dict[str, Any]]) -> None:
        self.plan = plan
        self.pictures = [_picture(size) for size in SIZES]
        self.asked: dict[str, list[float]] = defaultdict(list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, kept alive."""
        host = writer.get_extra_info("sockname")[0]
        try:
            while line := await reader.readline():
                while (await reader.readline()).strip():
                    pass
                self.asked[host].append(time.monotonic())
                await self._answer(host, line.split()[1].decode(), writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _answer(self, host: str, path: str, writer: asyncio.StreamWriter) -> None:
        planned = self.plan.get(host, {})
        answer = planned.get("urls", {}).get(path.strip("/"))
        if planned.get("silent") or (answer and answer["status"] == 408):
            await asyncio.sleep(3600)
        if answer is None:  # robots.txt and its like
            await asyncio.sleep(planned.get("seconds", 0))
            writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
        else:
            await asyncio.sleep(answer["seconds"])
            await self._send(answer, writer)
        await writer.drain()

    async def _send(self, answer: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        size = answer["bytes"]
        body = b"<html>"
        if answer["type"].startswith("image/"):
            body = next((picture for picture in reversed(self.pictures) if len(picture) <= size), self.pictures[0])
        left = max(0, size - len(body))
        head = f"HTTP/1.1 {answer['status']} Replayed\r\nContent-Type: {answer['type'] or 'text/html'}\r\n"
        writer.write(f"{head}Content-Length: {len(body) + left}\r\n\r\n".encode() + body)
        while left:
            piece = PADDING[:left]
            writer.write(piece)
            await writer.drain()
            left -= len(piece)

    def fullest_second(self) -> int:
        """The most requests that any host had within one second."""
        most = 0
        for times in self.asked.values():
            start = 0
            for end, moment in enumerate(times):
                while moment - times[start] >= 1:
                    start += 1
                most = max(most, end - start + 1)
        return most


async def main(path: str) -> None:
    """Serves until the standard input ends."""
    replay = Replay(json.loads(Path(path).read_text()))
    server = await asyncio.start_server(replay.serve, "0.0.0.0", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    print(replay.fullest_second(), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
