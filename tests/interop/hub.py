"""A hub on this machine, as far as huggingface_hub and Facet ask it: listings, resolve, redirects, ranges.

Small files are answered by the hub itself, with git's SHA-1 as ETag; large ones are redirected to a store on
another port, with their SHA-256.

SPDX-License-Identifier: Apache-2.0
"""

import hashlib
import http.server
import json
import pathlib
import threading
import urllib.parse

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LARGE = 100_000


def git_hash(data):
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


class Hub:
    """repos: {("models", "org/name"): folder}. Serves until it is closed."""

    def __init__(self, repos):
        self.repos = {key: pathlib.Path(folder) for key, folder in repos.items()}
        self.requests = []
        self.store = self.serve(True)
        self.hub = self.serve(False)
        self.url = f"http://127.0.0.1:{self.hub.server_port}"

    def serve(self, is_store):
        hub = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                hub.answer(self, is_store)

            do_HEAD = do_GET

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server

    def close(self):
        for server in (self.hub, self.store):
            server.shutdown()
            server.server_close()

    def answer(self, request, is_store):
        path = urllib.parse.unquote(urllib.parse.urlsplit(request.path).path)
        self.requests.append((request.command, path))
        kind = "datasets" if path.startswith(("/datasets/", "/api/datasets/")) else "models"
        for (repo_kind, name), folder in self.repos.items():
            if repo_kind != kind:
                continue
            if path.startswith(f"/api/{kind}/{name}/tree/"):
                return self.send(request, 200, json.dumps(self.list(folder)).encode(), {})
            if path.startswith(f"/api/{kind}/{name}"):
                return self.send(request, 200, json.dumps(self.describe(name, folder)).encode(), {})
            prefix = f"/{'datasets/' if kind == 'datasets' else ''}{name}/resolve/"
            if path.startswith(prefix):
                file = folder / path[len(prefix):].split("/", 1)[1]
                if file.is_file():
                    return self.send_file(request, file.read_bytes(), is_store)
                return self.send(request, 404, b"", {"X-Error-Code": "EntryNotFound"})
        return self.send(request, 404, b"", {"X-Error-Code": "RepoNotFound"})

    @staticmethod
    def describe(name, folder):
        files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
        return {"_id": "0", "id": name, "modelId": name, "sha": COMMIT, "private": False, "gated": False, "tags": [],
                "downloads": 0, "likes": 0, "lastModified": "2025-01-01T00:00:00.000Z",
                "siblings": [{"rfilename": path, "size": (folder / path).stat().st_size} for path in files]}

    @staticmethod
    def list(folder):
        """What newer versions of the library ask for in place of the siblings."""
        entries = []
        for path in sorted(folder.rglob("*")):
            if not path.is_file():
                continue
            data = path.read_bytes()
            entry = {"type": "file", "path": path.relative_to(folder).as_posix(), "size": len(data), "oid": git_hash(data)}
            if len(data) >= LARGE:
                entry["lfs"] = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 100}
            entries.append(entry)
        return entries

    def send_file(self, request, data, is_store):
        if is_store:
            return self.send(request, 200, data, {"ETag": '"of the store"'})
        if len(data) < LARGE:
            return self.send(request, 200, data, {"X-Repo-Commit": COMMIT, "ETag": f'"{git_hash(data)}"'})
        return self.send(request, 302, b"elsewhere", {
            "X-Repo-Commit": COMMIT, "X-Linked-Size": str(len(data)),
            "X-Linked-Etag": f'"{hashlib.sha256(data).hexdigest()}"',
            "Location": f"http://127.0.0.1:{self.store.server_port}{request.path}"})

    @staticmethod
    def send(request, status, data, headers):
        begin = 0
        if status == 200 and request.headers.get("Range", "").startswith("bytes="):
            begin = int(request.headers["Range"][len("bytes="):].split("-")[0])
            status = 206
            headers = headers | {"Content-Range": f"bytes {begin}-{len(data) - 1}/{len(data)}"}
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name, value)
        request.send_header("Content-Length", str(len(data) - begin))
        request.end_headers()
        if request.command == "GET":
            request.wfile.write(data[begin:])
