# SPDX-License-Identifier: Apache-2.0
"""The files of the project, each read once, and C code without its comments and texts."""

import os
import re

SKIPPED_FOLDERS = {".git", "build", "node_modules", "__pycache__", "findings"}

_TOKEN = re.compile(
    r'/\*.*?(?:\*/|\Z)|//[^\n]*|"(?:\\.|[^"\\\n])*"|' + r"'(?:\\.|[^'\\\n])*'", re.DOTALL)


def _blank(match):
    """The same number of lines and columns, without what a rule could mistake for code."""
    text = match.group(0)
    if text.startswith("//"):
        return "//" + " " * (len(text) - 2)
    if text.startswith("/*"):
        return re.sub(r"[^\n]", " ", text)
    return text[0] + " " * (len(text) - 2) + text[-1] if len(text) > 1 else text


class Tree:
    """The project under `root`."""

    def __init__(self, root):
        self.root = root
        self.paths = sorted(self._walk())
        self._texts = {}
        self._codes = {}

    def _walk(self):
        for folder, folders, names in os.walk(self.root):
            folders[:] = [name for name in folders if name not in SKIPPED_FOLDERS]
            for name in names:
                path = os.path.relpath(os.path.join(folder, name), self.root)
                if not os.path.islink(os.path.join(folder, name)):
                    yield path

    def ending(self, *endings):
        return [path for path in self.paths if path.endswith(endings)]

    def c_files(self):
        return self.ending(".c", ".h")

    def raw(self, path):
        with open(os.path.join(self.root, path), "rb") as file:
            return file.read()

    def text(self, path):
        if path not in self._texts:
            self._texts[path] = self.raw(path).decode("utf-8", "replace")
        return self._texts[path]

    def lines(self, path):
        """(number from 1, line) of a file as it is."""
        return enumerate(self.text(path).split("\n"), 1)

    def code_lines(self, path):
        """(number from 1, line) of a C file with comments and texts blanked."""
        if path not in self._codes:
            self._codes[path] = _TOKEN.sub(_blank, self.text(path)).split("\n")
        return enumerate(self._codes[path], 1)
