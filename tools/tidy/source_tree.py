"""The files that tidy looks at: a plain walk of the tree, so that a file is checked before it is committed."""

import os

# Folders that are not ours to check: build output, version control, and inputs kept for tests.
SKIPPED_FOLDERS = {".git", "__pycache__", "node_modules", "millrace-data", "testdata"}
CPP_SUFFIXES = (".cc", ".h")


class SourceTree:
    """Paths are relative to the root, use '/', and come sorted; texts are read once."""

    def __init__(self, root):
        self.root = root
        self._texts = {}
        self.paths = sorted(self._walk())
        self._path_set = set(self.paths)

    def _walk(self):
        for folder, subfolders, names in os.walk(self.root):
            subfolders[:] = [
                name
                for name in subfolders
                if name not in SKIPPED_FOLDERS
                and not (folder == self.root and name.startswith("bazel-"))
                and not os.path.islink(os.path.join(folder, name))
            ]
            for name in names:
                path = os.path.join(folder, name)
                if not os.path.islink(path) and os.path.isfile(path):
                    yield os.path.relpath(path, self.root).replace(os.sep, "/")

    def has(self, path):
        return path in self._path_set

    def with_suffix(self, *suffixes):
        return [path for path in self.paths if path.endswith(suffixes)]

    def text(self, path):
        """The file as text; bytes that are not UTF-8 become replacement characters."""
        if path not in self._texts:
            with open(os.path.join(self.root, path), "rb") as file:
                self._texts[path] = file.read().decode("utf-8", errors="replace")
        return self._texts[path]

    def lines(self, path):
        return self.text(path).splitlines()

    def is_text(self, path):
        return "\0" not in self.text(path)[:4096]
