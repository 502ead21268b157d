# SPDX-License-Identifier: Apache-2.0
"""A computer whose power can be cut: what its programs wrote and never synced may be gone.

    disk = Disk("/tmp/x/device", library)          # library: the built powercut.c
    subprocess.Popen(command, env={**os.environ, **disk.environment()})
    ...                                            # kill -9 all its programs, then:
    disk.cut(random.Random(1))

Contents go sector by sector (of 512 or 4096 bytes), each unsynced write for itself, so that they
are lost, torn and out of order; names (created, renamed, removed) go from the last one backwards,
as a file system with a journal loses them."""

import collections
import os
import shutil
import struct
import tempfile

HEAD_SIZE = 64
RECORD = struct.Struct("<9Q")
WRITE, TRUNCATE, SYNC, CREATE, RENAME, UNLINK, FOLDER_SYNC = range(1, 8)
NAMES = (CREATE, RENAME, UNLINK)
MEMORY = "/dev/shm"

Record = collections.namedtuple("Record", "sequence kind inode offset length old_size old names")
Damage = collections.namedtuple("Damage", "writes sectors lost names")


class Disk:
    def __init__(self, folder, library, lies=False):
        self.folder = os.path.realpath(folder)
        self.library = library
        self.lies = lies
        self.kept = self.folder + ".kept"
        os.makedirs(self.kept, exist_ok=True)
        self.journal = tempfile.mkdtemp(prefix="fieldsync-powercut-", dir=MEMORY)

    def environment(self):
        """For every program of this computer."""
        values = {"LD_PRELOAD": self.library, "FIELDSYNC_POWERCUT_FOLDER": self.folder,
                  "FIELDSYNC_POWERCUT_KEPT": self.kept, "FIELDSYNC_POWERCUT_JOURNAL": self.journal,
                  # in a build with sanitizers their library wants to be the first
                  "ASAN_OPTIONS": "verify_asan_link_order=0:detect_leaks=0"}
        if self.lies:
            values["FIELDSYNC_POWERCUT_LIES"] = "1"
        return values

    def close(self):
        shutil.rmtree(self.journal)
        shutil.rmtree(self.kept, ignore_errors=True) # may have gone with its folder

    def cut(self, random, keep=None):
        """After all programs were killed. `keep`: the share of unsynced sectors that survive."""
        records = self._records()
        if keep is None:
            keep = 0 if self.lies else random.choice((0, 0, 0.3, 0.7, 0.95, 1))
        lost_names = self._lose_names(records, random, keep)
        damage = self._lose_contents(records, random, keep)
        for folder in (self.journal, self.kept):
            for name in os.listdir(folder):
                os.remove(os.path.join(folder, name))
        return damage._replace(names=lost_names)

    # ---- the journal ----

    def _records(self):
        records = []
        for name in os.listdir(self.journal):
            if name != "sequence":
                with open(os.path.join(self.journal, name), "rb") as file:
                    records += _parse(file)
        return sorted(records)

    def _paths(self):
        """Inode to a path of it."""
        paths = {}
        for top in (self.kept, self.folder):
            for folder, _, names in os.walk(top):
                for name in names:
                    path = os.path.join(folder, name)
                    paths[os.lstat(path).st_ino] = path
        return paths

    # ---- contents ----

    def _lose_contents(self, records, random, keep):
        durable = _durable_until(records, SYNC, lambda record: record.inode)
        changes = collections.defaultdict(list)
        for record in records:
            if record.kind in (WRITE, TRUNCATE) and record.sequence >= durable[record.inode]:
                changes[record.inode].append(record)
        paths = self._paths()
        writes = sectors = lost = 0
        for inode, unsynced in sorted(changes.items()):
            if inode not in paths:
                continue
            seen, gone = _lose(paths[inode], unsynced, random, keep)
            writes += len(unsynced)
            sectors += seen
            lost += gone
        return Damage(writes, sectors, lost, 0)

    # ---- names ----

    def _lose_names(self, records, random, keep):
        durable = _durable_until(records, FOLDER_SYNC, lambda record: record.names[0])
        unsynced = [record for record in records if record.kind in NAMES and
                    all(record.sequence >= durable[os.path.dirname(name)] for name in record.names)]
        kept_count = sum(random.random() < keep for _ in unsynced)
        for record in reversed(unsynced[kept_count:]):
            self._undo_name(record)
        return len(unsynced) - kept_count

    def _undo_name(self, record):
        path = record.names[-1]
        kept = os.path.join(self.kept, str(record.offset))
        if record.kind == CREATE:
            if _inode(path) == record.inode:
                # its contents may have to be looked at by another name still
                os.rename(path, os.path.join(self.kept, "created-%d" % record.sequence))
        elif record.kind == UNLINK:
            if _inode(path) is None:
                os.link(kept, path)
        elif _inode(path) == record.inode:
            os.rename(path, record.names[0])
            if record.offset != 0:
                os.link(kept, path)


def _parse(file):
    head = file.read(8) # shorter: killed before it could write anything
    used = struct.unpack("<Q", head)[0] if len(head) == 8 else 0
    file.seek(0)
    data = file.read(used)
    place = HEAD_SIZE
    while place < used:
        (size, sequence, kind, inode, offset, length, old_size, old_length,
         name_length) = RECORD.unpack_from(data, place)
        begin = place + RECORD.size
        names = data[begin + old_length:begin + old_length + name_length]
        yield Record(sequence, kind, inode, offset, length, old_size,
                     data[begin:begin + old_length], tuple(os.fsdecode(names).split("\0")))
        place += size


def _durable_until(records, kind, key):
    durable = collections.defaultdict(int)
    for record in records:
        if record.kind == kind:
            durable[key(record)] = max(durable[key(record)], record.offset)
    return durable


def _inode(path):
    try:
        return os.lstat(path).st_ino
    except FileNotFoundError:
        return None


def _undo(content, record):
    """Takes one change back; what it had written."""
    new = bytes(content[record.offset:record.offset + record.length]) \
        if record.kind == WRITE else b""
    if record.kind == TRUNCATE:
        del content[record.offset:]
    content[record.offset:record.offset + len(record.old)] = record.old
    del content[record.old_size:]
    content.extend(bytes(record.old_size - len(content)))
    return new


def _lose(path, unsynced, random, keep):
    """Rewrites a file: each unsynced sector of each change is there or not."""
    with open(path, "rb") as file:
        content = bytearray(file.read())
    news = [_undo(content, record) for record in reversed(unsynced)]
    sector_size = random.choice((512, 4096))
    sectors = lost = 0
    for record, new in zip(unsynced, reversed(news)):
        if record.kind == TRUNCATE:
            if random.random() < keep:
                del content[record.offset:]
                content.extend(bytes(record.offset - len(content)))
            continue
        place = record.offset
        end = record.offset + len(new)
        while place < end:
            limit = min(end, (place // sector_size + 1) * sector_size)
            sectors += 1
            if random.random() < keep:
                content.extend(bytes(max(0, limit - len(content))))
                content[place:limit] = new[place - record.offset:limit - record.offset]
            else:
                lost += 1
            place = limit
    with open(path, "r+b") as file: # the same inode: other names of it mean the same contents
        file.truncate(0)
        file.write(content)
    return sectors, lost
