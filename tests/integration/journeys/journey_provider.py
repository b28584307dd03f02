"""A provider of messages on loopback: takes each once by its name, checks signatures, can be down."""

import hashlib
import hmac
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Provider:
    """Runs until it is closed; `got` has what it took, by the name of the message."""

    def __init__(self, secret):
        self.secret = secret
        self.got = {}
        self.calls = 0
        self.status = 202
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(provider.take(dict(self.headers), body))
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_port}/messages"

    def take(self, headers, body):
        self.calls += 1
        moment, mark = (part.split("=", 1)[1] for part in headers["Muyun-Signature"].split(","))
        wanted = hmac.new(self.secret, f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(mark, wanted):
            return 401
        if self.status < 300:
            self.got.setdefault(headers["Idempotency-Key"], []).append(json.loads(body))
        return self.status

    def close(self):
        self.server.shutdown()
        self.server.server_close()
