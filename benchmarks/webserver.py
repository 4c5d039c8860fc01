"""A local nginx that serves drawn photographs, plain or over TLS: the same server for us and for a peer.

In: a folder to work in. Out: the image URLs, spread over loopback addresses that stand for hosts. nginx is Debian's
package (``apt-get install nginx-light``); without it the benchmark says so.
"""

import contextlib
import io
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from webimagetext.errors import UserError

__all__ = ["WebServer", "serve_images"]

HOSTS = 64
DISTINCT = 64  # pictures drawn; every URL names one of them
SIZE = (640, 480)
BYTES = 60_000

CONFIGURATION = """
worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log; user root;
events {{ worker_connections 2048; }}
http {{
  access_log off; sendfile on; keepalive_requests 100000; default_type image/jpeg;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  types {{ image/jpeg jpg; }}
  server {{
    listen {port} {tls};
    {certificate}
    root {folder}/site;
    location / {{ rewrite ^/[0-9]+/(.*)$ /$1 break; }}
  }}
}}
"""


class WebServer:
    """The running server: ``urls(n)`` are addresses of pictures; ``certificate`` is its authority's file, empty without
    TLS."""

    def __init__(self, scheme: str, port: int, certificate: str) -> None:
        self._scheme, self._port = scheme, port
        self.certificate = certificate

    def urls(self, count: int) -> list[str]:
        """``count`` different URLs, taking turns among the hosts."""
        return [
            f"{self._scheme}://127.0.0.{1 + number % HOSTS}:{self._port}/{number}/{number % DISTINCT}.jpg"
            for number in range(count)
        ]


def _picture(seed: int) -> bytes:
    """A JPEG of the usual size of a photograph on the web, with the falling spectrum that photographs have."""
    generator = np.random.default_rng(seed)
    width, height = SIZE
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    frequency[0, 0] = 1 / width
    planes = []
    for strength in (50, 18, 18):  # brightness varies more than colour
        phase = np.exp(2j * np.pi * generator.random(frequency.shape))
        plane = np.fft.irfft2(phase / frequency**1.4, s=(height, width))
        planes.append(128 + strength * plane / plane.std())
    samples = np.stack(planes, axis=2).clip(0, 255).astype(np.uint8)
    image = Image.merge("YCbCr", [Image.fromarray(samples[:, :, plane]) for plane in range(3)])
    data = b""
    for quality in range(50, 100):
        stream = io.BytesIO()
        image.save(stream, "JPEG", quality=quality)
        data = stream.getvalue()
        if len(data) >= BYTES:
            break
    return data


@contextlib.contextmanager
def serve_images(folder: Path, *, tls: bool) -> Iterator[WebServer]:
    """Runs nginx on a free port of all loopback addresses. Raises UserError where it is not installed."""
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if nginx is None:
        raise UserError("nginx is not installed", "on Debian or Ubuntu: apt-get install nginx-light")
    site = folder / "site"
    site.mkdir(parents=True)
    for number in range(DISTINCT):
        (site / f"{number}.jpg").write_bytes(_picture(number))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    certificate = ""
    if tls:
        names = ",".join(f"IP:127.0.0.{1 + number}" for number in range(HOSTS))
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=benchmark"]
        files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
        subprocess.run([*command, *files, "-addext", f"subjectAltName={names}"], check=True, capture_output=True)
        certificate = f"ssl_certificate {folder}/cert.pem; ssl_certificate_key {folder}/key.pem;"
    configuration = folder / "nginx.conf"
    configuration.write_text(
        CONFIGURATION.format(folder=folder, port=port, tls="ssl" if tls else "", certificate=certificate)
    )
    process = subprocess.Popen([nginx, "-e", str(folder / "error.log"), "-c", str(configuration)])
    try:
        _wait_for(port, process)
        yield WebServer("https" if tls else "http", port, str(folder / "cert.pem") if tls else "")
    finally:
        process.terminate()
        process.wait()


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(100):
        if process.poll() is not None:
            break
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.1)
    raise UserError("nginx did not start", "its messages are printed above")
