"""What a container allows, by files as Linux has them."""

from __future__ import annotations

import os

import pytest

from viewfusion import machine


def write(folder, files):
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)


@pytest.fixture
def groups(tmp_path, monkeypatch):
    """Of a process that may run on 8 cores of a machine with 16 GiB."""
    monkeypatch.setattr(machine, "GROUPS", tmp_path)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    sizes = {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 2**22}
    monkeypatch.setattr(os, "sysconf", sizes.__getitem__, raising=False)
    return tmp_path


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({}, 8),
        ({"cpu.max": "max 100000\n"}, 8),
        ({"cpu.max": "200000 100000\n"}, 2),
        ({"cpu.max": "150000 100000\n"}, 2),
        ({"cpu.max": "20000 100000\n"}, 1),
        ({"cpu.max": "6400000 100000\n"}, 8),
        ({"cpu.max": ""}, 8),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 8),
        ({"cpu/cpu.cfs_quota_us": "300000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 3),
    ],
)
def test_cores(groups, files, cores):
    write(groups, files)
    assert machine.usable_cores() == cores


@pytest.mark.parametrize(
    ("files", "memory"),
    [
        ({}, 2**34),
        ({"memory.max": "max\n"}, 2**34),
        ({"memory.max": "1073741824\n"}, 2**30),
        ({"memory/memory.limit_in_bytes": "9223372036854771712\n"}, 2**34),
        ({"memory/memory.limit_in_bytes": "2147483648\n"}, 2**31),
    ],
)
def test_memory(groups, files, memory):
    write(groups, files)
    assert machine.usable_memory() == memory


def test_a_system_that_says_nothing(groups, monkeypatch):
    def unknown(name):
        raise ValueError(name)

    monkeypatch.setattr(os, "sysconf", unknown)
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert (machine.usable_memory(), machine.usable_cores()) == (None, 1)


V2 = {"memory.max": "1000\n", "memory.current": "700\n", "memory.stat": "anon 500\ninactive_file 150\n"}
V1 = {
    "memory/memory.limit_in_bytes": "2000\n",
    "memory/memory.usage_in_bytes": "1900\n",
    "memory/memory.stat": "cache 7\ntotal_inactive_file 40\n",
}


@pytest.mark.parametrize(
    ("files", "free"),
    [
        ({}, 3 * 1024),
        (V2, 450),
        (V1, 140),
        (V2 | {"memory.max": "max\n"}, 3 * 1024),
        (V2 | {"memory.max": "9999999\n"}, 3 * 1024),
        (V2 | {"memory.stat": ""}, 300),
        (V2 | {"memory.current": "2000\n", "memory.stat": ""}, 0),
    ],
)
def test_free_memory(groups, monkeypatch, files, free):
    write(
        groups, files | {"meminfo": "MemTotal:       16 kB\nMemAvailable:          3 kB\nHugePages_Free: 0\n"}
    )
    monkeypatch.setattr(machine, "MEMINFO", groups / "meminfo")
    assert machine.free_memory() == free


def test_free_memory_of_a_system_that_tells_all_there_is(groups, monkeypatch):
    monkeypatch.setattr(machine, "MEMINFO", groups / "absent")
    assert machine.free_memory() == 2**34
