"""A board of the device test: a disk, a folder shared with it, and boots of it that run scenarios."""

import itertools
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import wave

import console

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CACHE = ROOT / "target/device"
RUN = CACHE / "run"
QUESTIONS = ROOT / "models/demo/questions"
STALL_S = 240  # no scenario takes longer in User-Mode Linux, each of its steps has a limit of its own: something hangs

_telling = threading.Lock()


def say(*words):
    """Prints a line, whole also when several boards run."""
    with _telling:
        print(*words, flush=True)


_next_core = itertools.count(1)


def user_mode_linux(board, temporary):
    """The command of a kernel that is a process, on a core of its own: it and its programs are processes that take turns at each system
    call and page fault, and to wake the other core for that costs more than the turn (4.5 instead of 2.5 s to warm)."""
    cores = sorted(os.sched_getaffinity(0))
    core = str(cores[board.core % len(cores)])
    return ["taskset", "--cpu-list", core, CACHE / "linux", f"ubd0={board.disk}", "root=/dev/ubda", "rw", "mem=1024M",
            "con=null", "con0=null,fd:1", f"hostfs={board.share}", f"umid={board.name}", f"uml_dir={temporary}/", "panic=-1", "quiet"]


class Board:
    """`name` stands before all that is told of it. `machine` gives the command that boots it, `stall` the seconds without a scenario's
    end after which a boot is stopped."""

    def __init__(self, name, package, image, machine=user_mode_linux, stall=STALL_S):
        self.name, self.package, self.image, self.machine, self.stall = name, package, image, machine, stall
        self.core = next(_next_core)
        self.folder = RUN / name
        self.share, self.disk = self.folder / "share", self.folder / "disk.ext4"
        self.kernel_hung = False
        self.goals = []

    def begin(self):
        """A board that nothing has happened on yet."""
        self.goals = []
        self.share.mkdir(parents=True)
        shutil.copytree(HERE / "guest", self.share / "guest")
        _sounds(self.share / "sounds")
        shutil.copy(self.package, self.share / "elio.deb")
        subprocess.run(["cp", "--sparse=always", self.image, self.disk], check=True)

    def say(self, text):
        """A line about this board."""
        say(f"  {self.name:<8} {text}")

    def recorded(self, sound):
        """What a scenario recorded from the card under this name: a WAV file; none where it did not."""
        raw = self.share / "out" / f"{sound}.raw"
        if not raw.exists():
            return None
        path = self.folder / f"{sound}.wav"
        with wave.open(str(path), "wb") as wav:
            wav.setnchannels(1)
            wav.setsampwidth(2)
            wav.setframerate(16000)
            wav.writeframes(raw.read_bytes())
        return path

    def boot(self, plan):
        """Boots once; gives what the guest wrote about each scenario. Cuts the power where a scenario asks for it."""
        (self.share / "plan").write_text("\n".join(plan) + "\n")
        for name in ["results", "finished", "cut-now"]:
            (self.share / name).unlink(missing_ok=True)
        # The kernel's memory is a file there: in the host's memory where there is room, or else every page goes to a disk.
        temporary = pathlib.Path(tempfile.mkdtemp(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else CACHE))
        begun = moved = time.monotonic()
        told = 0
        cut = False
        with open(self.folder / "console.log", "ab") as console:
            kernel = subprocess.Popen(self.machine(self, temporary), stdin=subprocess.DEVNULL, stdout=console,
                                      stderr=console, env=os.environ | {"TMPDIR": str(temporary)}, start_new_session=True)
            try:
                while kernel.poll() is None:
                    time.sleep(0.1)
                    before, told = told, self._tell(told)
                    if told > before:
                        moved = time.monotonic()
                    if (self.share / "cut-now").exists():
                        cut = True
                        break
                    if time.monotonic() - moved > self.stall:
                        self._hangs(temporary, plan[told])
                        break
            finally:
                try:
                    os.killpg(kernel.pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
                kernel.wait()
                shutil.rmtree(temporary, ignore_errors=True)
        self._tell(told)
        results = self._read()
        if cut:
            results.append({"scenario": plan[len(results)], "rc": 0, "seconds": 0.0})
            self.say(f"ok    {results[-1]['scenario']:<12} (the power is cut)")
        for name in plan[len(results):]:
            results.append({"scenario": name, "rc": -1, "seconds": 0.0})
            self.say(f"FAIL  {name}: it did not run")
        self.say(f"this boot: {time.monotonic() - begun:.0f} s")
        return results

    def _hangs(self, temporary, scenario):
        """Says who does: a kernel that answers no more, or the programs on one that does."""
        answer = console.answers(temporary, self.name) if self.machine is user_mode_linux else "another kernel"
        self.kernel_hung = answer is None
        if answer:
            (self.folder / "kernel.log").write_text(answer)
        who = "its kernel answers no more" if self.kernel_hung else f"its kernel still answers ({self.folder}/kernel.log)"
        self.say(f"{scenario} does not end: the boot was stopped after {self.stall} s without a scenario's end; {who}")

    def _read(self):
        path = self.share / "results"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def _tell(self, told):
        """Prints the scenarios that have ended since; gives how many have."""
        results = self._read()
        for result in results[told:]:
            good = result["rc"] == 0
            log = self.share / "out" / f"{result['scenario']}.log"
            lines = log.read_text(errors="replace").splitlines() if log.exists() else []
            shown = lines if not good else [line for line in lines if line.startswith("    ")]
            # lib.sh, goal.
            self.goals += [f"{self.name}, {result['scenario']}: {line.strip()}" for line in lines
                           if line.endswith((": met", ": MISSED"))]
            with _telling:
                print(f"  {self.name:<8} {'ok  ' if good else 'FAIL'}  {result['scenario']:<12} {result['seconds']:5.1f} s",
                      *(f"           {line.strip() if good else line}" for line in shown), sep="\n", flush=True)
        return len(results)


def _sounds(folder):
    """The recorded questions with silence on both sides: the loopback card loses the last buffer of what is played."""
    folder.mkdir(parents=True)
    for path in QUESTIONS.glob("*.wav"):
        with wave.open(str(path)) as wav:
            silence = b"\0\0" * (wav.getframerate() // 5)
            frames = silence + wav.readframes(wav.getnframes()) + 5 * silence
            with wave.open(str(folder / path.name), "wb") as out:
                out.setparams(wav.getparams())
                out.writeframes(frames)
