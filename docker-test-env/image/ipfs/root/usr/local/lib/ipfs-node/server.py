"""The part of Kubo's RPC that graph-node, its tools and tests use, and a gateway for files.

Owns: HTTP. What is stored and how is core.py's. A command or an option that is not served is refused.
"""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import blocks
import core

_JSON = "application/json"


class Refused(Exception):
    """A request that is wrong, or not served here."""


def listen(port, handler):
    """A server on every address."""
    server = ThreadingHTTPServer(("0.0.0.0", port), handler)
    server.daemon_threads = True
    return server


def rpc(node):
    """Answers `POST /api/v0/COMMAND`. As Kubo's own RPC does, it takes nothing but POST."""
    commands = {
        "version": _version,
        "id": _id,
        "add": _add,
        "cat": lambda node, request: (node.file(_cid(request)), "text/plain"),
        "block/get": lambda node, request: (node.block(_cid(request)), "application/octet-stream"),
        "pin/add": _pin_add,
        "pin/rm": _pin_rm,
    }

    class Rpc(_Handler):
        def do_POST(self):
            self.body = self._read()
            address = urlsplit(self.path)
            self.query = parse_qs(address.query)
            command = commands.get(address.path.removeprefix("/api/v0/"))
            if command is None:
                return self.reply(404, b"404 page not found\n", "text/plain")
            return self.attempt(lambda: command(node, self))

        def do_GET(self):
            self.reply(405, b"405 - Method Not Allowed\n", "text/plain")

        do_HEAD = do_PUT = do_DELETE = do_GET

    return Rpc


def gateway(node):
    """Answers `GET /ipfs/CID` with the file."""

    class Gateway(_Handler):
        def do_GET(self):
            path = urlsplit(self.path).path
            if not path.startswith("/ipfs/"):
                return self.reply(404, b"404 page not found\n", "text/plain")
            return self.attempt(lambda: (node.file(path.removeprefix("/ipfs/")), "application/octet-stream"), absent=404)

        do_HEAD = do_GET

    return Gateway


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def attempt(self, act, absent=500):
        try:
            content, kind = act()
        except core.Missing as problem:
            self.problem(absent, problem)
        except (Refused, blocks.Malformed) as problem:
            self.problem(400, problem)
        except OSError as problem:
            self.problem(500, problem)
        else:
            self.reply(200, content, kind)

    def problem(self, status, problem):
        self.reply(status, _json({"Message": str(problem), "Code": 0, "Type": "error"})[0], _JSON)

    def reply(self, status, content, kind):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _read(self):
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        chunks = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return b"".join(chunks)

    def log_request(self, code="-", size="-"):
        # The path only: what health checks ask each second is no news.
        if self.path != "/api/v0/id":
            print(f"{self.command} {self.path} {int(code)}", flush=True)


def _version(_node, _request):
    return _json({"Version": core.VERSION, "Commit": "", "Repo": "14", "System": "amd64/linux", "Golang": ""})


def _id(node, _request):
    agent = f"kubo/{core.VERSION}"
    return _json({"ID": node.identity(), "PublicKey": "", "Addresses": [], "AgentVersion": agent, "Protocols": []})


def _add(node, request):
    for option, only in (("wrap-with-directory", "false"), ("cid-version", "0"), ("raw-leaves", "false"), ("pin", "true")):
        if request.query.get(option, [only]) != [only]:
            raise Refused(f"{option}={request.query[option][0]} is not served here")
    only_hash = request.query.get("only-hash", ["false"]) == ["true"]
    answers = []
    for name, content in _files(request):
        cid = node.add(content, only_hash)
        answers.append(_json({"Name": name or cid, "Hash": cid, "Size": str(len(content))})[0])
    if not answers:
        raise Refused("file argument 'path' is required")
    return b"".join(answers), _JSON


def _pin_add(node, request):
    node.pin(_cid(request))
    return _json({"Pins": [_cid(request)]})


def _pin_rm(node, request):
    node.unpin(_cid(request))
    return _json({"Pins": [_cid(request)]})


def _cid(request):
    if "arg" not in request.query:
        raise Refused('argument "ipfs-path" is required')
    return request.query["arg"][0].removeprefix("/ipfs/")


def _files(request):
    """The name and the content of each file in a form."""
    kind = request.headers.get_content_type()
    boundary = request.headers.get_param("boundary")
    if kind != "multipart/form-data" or not boundary:
        raise Refused("a form with files is expected")
    mark = b"\r\n--" + boundary.encode()
    for part in (b"\r\n" + request.body).split(mark)[1:]:
        if part.startswith(b"--"):
            return
        head, _, content = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        yield _file_name(head.decode("utf-8", "replace")), content


def _file_name(head):
    _, found, rest = head.partition('filename="')
    return rest.partition('"')[0] if found else ""


def _json(value):
    return (json.dumps(value) + "\n").encode(), _JSON
