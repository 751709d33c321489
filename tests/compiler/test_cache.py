"""The cache: found again by another process, never loaded when it was touched, bounded, safe with many writers."""

import os
import shutil
import stat
import subprocess
import sys
import time
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from arrayad.compiler import cache, folder
from arrayad.compiler.ctext import ctext
from arrayad.compiler.loading import program_of
from arrayad.compiler.toolchain import toolchain
from arrayad.errors import CompilationError

pytestmark = pytest.mark.skipif(toolchain() is None, reason="there is no C compiler")


def text_of(number):
    """A program that writes a number into its buffer."""
    return ctext("host.h") + (
        "int arrayad_program(const struct arrayad_host *host, void *const *buffers)\n"
        f"{{\n    (void)host;\n    *(double *)buffers[0] = {number};\n    return 0;\n}}\n"
    )


def answer(text, options=("-O0",)):
    """What a program writes."""
    out = np.zeros(1)
    assert program_of(text, options).run([out]) == 0
    return out[0]


def counted(text):
    """(hits, misses) that a program takes; it is asked to write 7."""
    before = cache.stats()
    assert answer(text) == 7
    after = cache.stats()
    return after["hits"] - before["hits"], after["misses"] - before["misses"]


def entry_of(private_cache):
    """The folder of the only program."""
    (entry,) = (private_cache / "programs").iterdir()
    return entry


def test_a_program_is_compiled_once(private_cache):
    assert counted(text_of(7)) == (0, 1)
    assert counted(text_of(7)) == (1, 0)
    assert counted(text_of("7.0")) == (0, 1)
    assert cache.stats()["entries"] == 2
    assert cache.stats()["bytes"] == sum(file.stat().st_size for file in private_cache.glob("programs/*/*"))
    assert cache.stats()["directory"] == str(private_cache)


def test_options_make_another_program(private_cache):
    text = text_of("NUMBER")
    assert answer(text, ("-DNUMBER=1",)) == 1
    assert answer(text, ("-DNUMBER=2",)) == 2


def test_clear_removes_what_is_there_and_the_loaded_goes_on(private_cache):
    program = program_of(text_of(7))
    cache.clear()
    assert cache.stats()["entries"] == 0 and cache.stats()["bytes"] == 0
    out = np.zeros(1)
    assert program.run([out]) == 0 and out[0] == 7
    assert counted(text_of(7)) == (0, 1)


PROCESS = """
import subprocess, sys
import numpy as np
from arrayad.compiler import cache
from arrayad.compiler.loading import program_of
started = []
class Seen(subprocess.Popen):
    def __init__(self, *args, **options):
        started.append(args)
        super().__init__(*args, **options)
subprocess.Popen = Seen
for path in sys.argv[1:]:
    out = np.zeros(1)
    assert program_of(open(path).read(), ("-O0",)).run([out]) == 0
    print(int(out[0]))
print(cache.stats()["hits"], cache.stats()["misses"], len(started))
"""


def start(*paths):
    return subprocess.Popen([sys.executable, "-c", PROCESS, *map(str, paths)], stdout=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_a_second_process_starts_no_compiler(private_cache, tmp_path):
    source = tmp_path / "program.c"
    source.write_text(text_of(7))
    assert start(source).communicate()[0].split()[:3] == ["7", "0", "1"]
    assert start(source).communicate()[0].split() == ["7", "1", "0", "0"]


@pytest.mark.slow
def test_many_processes_write_at_once(private_cache, tmp_path):
    sources = [tmp_path / f"{number}.c" for number in range(6)]
    for number, source in enumerate(sources):
        source.write_text(text_of(number))
    processes = [start(*sources[first:], *sources[:first]) for first in (0, 0, 0, 2, 4)]
    for process, first in zip(processes, (0, 0, 0, 2, 4), strict=True):
        said = process.communicate()[0].split()
        assert process.returncode == 0
        assert said[:6] == [str((first + i) % 6) for i in range(6)]
    assert cache.stats()["entries"] == 6
    assert not list(private_cache.glob("work-*"))
    before = cache.stats()["misses"]
    assert [answer(text_of(number)) for number in range(6)] == [0, 1, 2, 3, 4, 5]
    assert cache.stats()["misses"] == before


# --- files that were touched --------------------------------------------------------------------------------------------


def flip(path, position):
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


def truncate(path):
    path.write_bytes(path.read_bytes()[:-100])


def link_elsewhere(path):
    elsewhere = path.parent.parent.parent / "elsewhere"
    shutil.copy(path, elsewhere)
    path.unlink()
    path.symlink_to(elsewhere)


def pipe(path):
    path.unlink()
    os.mkfifo(path)


TOUCHED = {
    "truncated program": lambda entry: truncate(entry / "program.so"),
    "empty program": lambda entry: (entry / "program.so").write_bytes(b""),
    "a bit of the program": lambda entry: flip(entry / "program.so", 1000),
    "the last bit of the program": lambda entry: flip(entry / "program.so", -1),
    "a bit of the source": lambda entry: flip(entry / "source.c", 10),
    "a bit of the seal": lambda entry: flip(entry / "seal", 0),
    "truncated seal": lambda entry: (entry / "seal").write_bytes((entry / "seal").read_bytes()[:31]),
    "no program": lambda entry: (entry / "program.so").unlink(),
    "no seal": lambda entry: (entry / "seal").unlink(),
    "a link in place of the program": lambda entry: link_elsewhere(entry / "program.so"),
    "a pipe in place of the program": lambda entry: pipe(entry / "program.so"),
    "a folder in place of the program": lambda entry: ((entry / "program.so").unlink(), (entry / "program.so").mkdir()),
}


@pytest.mark.parametrize("touch", TOUCHED.values(), ids=TOUCHED)
def test_what_was_touched_is_compiled_again(touch, private_cache):
    counted(text_of(7))
    touch(entry_of(private_cache))
    assert counted(text_of(7)) == (0, 1)
    assert counted(text_of(7)) == (1, 0)
    assert not list(private_cache.glob("work-*"))


def test_programs_that_were_exchanged_are_compiled_again(private_cache):
    answer(text_of(8))
    answer(text_of(7))
    one, other = (private_cache / "programs").iterdir()
    for name in ("program.so", "seal"):
        (one / name).rename(private_cache / "aside")
        (other / name).rename(one / name)
        (private_cache / "aside").rename(other / name)
    assert counted(text_of(7)) == (0, 1)


def test_whole_entries_that_were_exchanged_are_compiled_again(private_cache):
    answer(text_of(8))
    answer(text_of(7))
    one, other = (private_cache / "programs").iterdir()
    one.rename(private_cache / "aside")
    other.rename(one)
    (private_cache / "aside").rename(other)
    assert counted(text_of(7)) == (0, 1)


def test_an_entry_that_is_a_link_is_compiled_again(private_cache):
    answer(text_of(7))
    entry = entry_of(private_cache)
    entry.rename(private_cache / "aside")
    entry.symlink_to(private_cache / "aside")
    assert counted(text_of(7)) == (0, 1)
    assert entry.is_dir() and not entry.is_symlink()
    assert (private_cache / "aside" / "program.so").exists(), "what the link pointed at is not ours to remove"


def test_an_entry_that_is_a_file_is_compiled_again(private_cache):
    answer(text_of(7))
    entry = entry_of(private_cache)
    shutil.rmtree(entry)
    entry.write_text("no folder")
    assert counted(text_of(7)) == (0, 1)


def test_programs_of_another_folder_do_not_count(private_cache, tmp_path, monkeypatch):
    answer(text_of(7))
    monkeypatch.setenv("ARRAYAD_CACHE_DIR", str(tmp_path / "other"))
    answer(text_of(8))
    shutil.copytree(private_cache / "programs", tmp_path / "other" / "programs", dirs_exist_ok=True)
    assert counted(text_of(7)) == (0, 1)


def test_what_the_compiler_can_do_is_sealed(private_cache):
    used = folder.folder()
    used.write("compiler-x", b"it can do all")
    assert used.read("compiler-x") == b"it can do all"
    (private_cache / "compiler-x").rename(private_cache / "compiler-y")
    assert used.read("compiler-y") is None and used.read("compiler-x") is None
    used.write("compiler-x", b"it can do all")
    flip(private_cache / "compiler-x", -1)
    assert used.read("compiler-x") is None
    (private_cache / "compiler-x").write_bytes(b"")
    assert used.read("compiler-x") is None


def test_a_seal_tells_where_one_part_ends():
    used = folder.Folder("", b"s" * 32)
    assert used.seal(b"ab", b"c") != used.seal(b"a", b"bc") != used.seal(b"abc")


# --- the folder ---------------------------------------------------------------------------------------------------------


def test_only_the_user_can_read_what_is_kept(private_cache):
    answer(text_of(7))
    assert stat.S_IMODE(private_cache.stat().st_mode) == 0o700
    assert stat.S_IMODE((private_cache / "secret").stat().st_mode) == 0o600
    assert stat.S_IMODE((private_cache / "programs").stat().st_mode) == 0o700


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777])
def test_a_folder_that_others_may_write_in_is_not_used(mode, private_cache):
    private_cache.mkdir()
    private_cache.chmod(mode)
    with pytest.warns(RuntimeWarning, match="others may write in .*cache"):
        assert answer(text_of(7)) == 7
    assert list(private_cache.iterdir()) == []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert counted(text_of(7)) == (1, 0), "the temporary folder is a cache for this process, and the warning comes once"
    used = cache.stats()["directory"]
    assert stat.S_IMODE(os.stat(used).st_mode) == 0o700


def test_a_folder_of_another_user_is_not_used(private_cache, monkeypatch):
    private_cache.mkdir()
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.warns(RuntimeWarning, match="belongs to another user"):
        folder.folder()


@pytest.mark.parametrize("place", ["a file", "/proc/arrayad"])
def test_a_folder_that_cannot_be_made_is_not_used(place, tmp_path, monkeypatch):
    (tmp_path / "a file").write_text("")
    monkeypatch.setenv("ARRAYAD_CACHE_DIR", os.path.join(tmp_path, place, f"cache of {tmp_path.name}"))
    with pytest.warns(RuntimeWarning, match="temporary folder"):
        assert answer(text_of(7)) == 7


def test_a_folder_that_is_read_only_is_not_used(private_cache, monkeypatch):
    private_cache.mkdir()
    allowed = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: str(path) != str(private_cache) and allowed(path, mode))
    with pytest.warns(RuntimeWarning, match="is not writable"):
        assert answer(text_of(7)) == 7


def test_without_a_home_there_is_a_temporary_folder(tmp_path, monkeypatch):
    monkeypatch.delenv("ARRAYAD_CACHE_DIR", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))
    with pytest.warns(RuntimeWarning, match="home folder .*nobody does not exist"):
        assert answer(text_of(7)) == 7
    assert not (tmp_path / "nobody").exists()


def test_the_folder_follows_the_environment(tmp_path, monkeypatch):
    monkeypatch.delenv("ARRAYAD_CACHE_DIR", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert folder.folder().path == str(tmp_path / "xdg" / "arrayad")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    if sys.platform == "linux":
        assert folder.folder().path == str(tmp_path / ".cache" / "arrayad")
    monkeypatch.setenv("ARRAYAD_CACHE_DIR", "~/mine")
    assert folder.folder().path == str(tmp_path / "mine")


@pytest.mark.slow
def test_the_temporary_folder_goes_with_the_process(tmp_path):
    code = "import os\nfrom arrayad.compiler import cache\nprint(cache.stats()['directory'], os.fork() and os.wait()[1])"
    environment = {**os.environ, "ARRAYAD_CACHE_DIR": "/proc/arrayad", "TMPDIR": str(tmp_path)}
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert str(tmp_path) in ran.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_secret_that_others_can_read_is_replaced(private_cache, monkeypatch):
    assert counted(text_of(7)) == (0, 1)
    (private_cache / "secret").chmod(0o644)
    monkeypatch.setattr(folder, "CHOSEN", {})
    assert counted(text_of(7)) == (0, 1)
    assert stat.S_IMODE((private_cache / "secret").stat().st_mode) == 0o600
    (private_cache / "secret").write_bytes(b"short")
    monkeypatch.setattr(folder, "CHOSEN", {})
    assert counted(text_of(7)) == (0, 1)
    monkeypatch.setattr(folder, "CHOSEN", {})
    assert counted(text_of(7)) == (1, 0)


def test_a_full_disk_moves_the_cache(private_cache, monkeypatch):
    made = []

    def make(work):
        made.append(work)
        if work.startswith(str(private_cache)):
            raise OSError(28, "No space left on device")
        with open(os.path.join(work, "program.so"), "wb") as file:
            file.write(b"a program")

    with pytest.warns(RuntimeWarning, match="No space left on device"):
        path = cache.program("key", "text", make)
    assert len(made) == 2 and not path.startswith(str(private_cache))
    assert cache.program("key", "text", make) == path and len(made) == 2
    assert not list(private_cache.glob("work-*"))
    monkeypatch.setattr(cache, "store", lambda *_: make(str(private_cache)))
    with pytest.raises(CompilationError, match=r"there is no place for the compiled program.*No space left.*ARRAYAD_CACHE_DIR"):
        program_of(text_of(7))


def test_all_who_open_a_new_folder_at_once_have_one_secret(tmp_path):
    for number in range(20):
        with ThreadPoolExecutor(8) as pool:
            opened = list(pool.map(folder.opened, [str(tmp_path / str(number))] * 8))
        assert len({used.secret for used in opened}) == 1
        assert [path.name for path in (tmp_path / str(number)).iterdir()] == ["secret"]


def test_without_hard_links_there_is_a_secret_all_the_same(private_cache, monkeypatch):
    def refuse(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    assert len(folder.folder().secret) == 32
    assert [path.name for path in private_cache.iterdir()] == ["secret"]


# --- its size -----------------------------------------------------------------------------------------------------------


def age(private_cache, text, seconds):
    """Make the program of a text that old."""
    (entry,) = (path.parent for path in private_cache.glob("programs/*/source.c") if path.read_text() == text)
    then = time.time() - seconds
    os.utime(entry, (then, then))


def test_the_programs_used_least_recently_go_first(private_cache, monkeypatch):
    texts = [text_of(number) for number in (1, 2, 3)]
    for i, text in enumerate(texts):
        answer(text)
        age(private_cache, text, 100 - i)
    answer(texts[0])
    size = cache.stats()["bytes"]
    monkeypatch.setenv("ARRAYAD_CACHE_SIZE", str(size))
    answer(text_of(4))
    assert cache.stats()["entries"] == 3 and cache.stats()["bytes"] <= size
    before = cache.stats()["misses"]
    answer(texts[0])
    answer(texts[2])
    assert cache.stats()["misses"] == before
    answer(texts[1])
    assert cache.stats()["misses"] == before + 1


def test_a_cache_without_room_holds_the_newest_program(private_cache, monkeypatch):
    monkeypatch.setenv("ARRAYAD_CACHE_SIZE", "0")
    assert [answer(text_of(number)) for number in (1, 2, 1)] == [1, 2, 1]
    assert cache.stats()["entries"] == 1


def test_a_limit_that_is_no_number_is_refused(private_cache, monkeypatch):
    monkeypatch.setenv("ARRAYAD_CACHE_SIZE", "much")
    with pytest.raises(ValueError, match="ARRAYAD_CACHE_SIZE is 'much'"):
        cache.stats()


def test_work_that_was_left_is_removed(private_cache):
    folder.folder()
    for name, hours in (("work-old", 2), ("work-new", 0)):
        (private_cache / name).mkdir()
        then = time.time() - 3600 * hours
        os.utime(private_cache / name, (then, then))
    (private_cache / "work-file").write_text("")
    os.utime(private_cache / "work-file", (0, 0))
    answer(text_of(7))
    assert [path.name for path in private_cache.glob("work-*")] == ["work-new"]


def test_the_tests_do_not_write_to_the_users_cache():
    assert os.path.basename(cache.stats()["directory"]).startswith("arrayad-tests-")
