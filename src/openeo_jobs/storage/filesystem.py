"""What kind of disk a file lies on."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import psutil

NETWORK_FILE_SYSTEMS = frozenset(
    {
        *(
            "nfs",
            "nfs4",
            "cifs",
            "smb",
            "smb2",
            "smb3",
            "smbfs",
            "afpfs",
            "webdav",
            "davfs",
            "9p",
            "virtiofs",
            "vboxsf",
            "vmhgfs",
        ),
        *("lustre", "gpfs", "beegfs", "ceph", "glusterfs", "afs", "pvfs2", "orangefs", "ocfs2", "gfs2"),
    }
)
"""Names as `psutil.disk_partitions` gives them; everything of FUSE counts too."""


def is_on_network(path: Path) -> bool:
    """Say whether *path* lies on a network file system, or on one that cannot be told."""
    resolved = path.resolve()
    if resolved.drive.startswith("\\\\"):
        return True
    mounts = sorted(psutil.disk_partitions(all=True), key=lambda mount: len(mount.mountpoint))
    for mount in reversed(mounts):  # the deepest; of two on one folder the later one hides the other
        if resolved.is_relative_to(mount.mountpoint):
            return is_network_file_system(mount.fstype)
    return True


def is_network_file_system(name: str) -> bool:
    """Say whether a file system of this *name* may be shared between machines."""
    lowered = name.lower()
    return lowered in NETWORK_FILE_SYSTEMS or lowered.startswith("fuse")


def find_holders(path: Path) -> list[str]:
    """Return the other processes that have *path* open, as far as they can be seen: `pid 4711 (command)`."""
    resolved = str(path.resolve())
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and any(one.path == resolved for one in process.open_files()):
                found.append(f"pid {process.pid} ({' '.join(process.cmdline())[:80]})")
    return found
