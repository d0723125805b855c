"""The processor switches: set in time, whatever the environment says, and enough for the same bytes."""

import ast
import os
import subprocess
import sys

import pytest

from eos.pipeline import processor
from eos.pipeline.processor import CLEARED, LIBRARIES, SWITCHES, why_not_portable
from tests.helpers import ROOT

pytestmark = pytest.mark.cpu_only(reason="the processor switches and the bytes they keep")

SCRIPTS = sorted(path.name for path in (ROOT / "stages").glob("*.py"))


def python(program: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", program]
    settings = os.environ | environment
    return subprocess.run(command, env=settings, capture_output=True, text=True, check=False)


def test_the_switches_are_set_whatever_the_environment_says() -> None:
    program = (
        "import os; from eos.pipeline.processor import hold_to_portable_code; hold_to_portable_code(); "
        "print({name: os.environ.get(name) for name in %r})" % [*SWITCHES, *CLEARED]
    )
    done = python(program, **dict.fromkeys((*SWITCHES, *CLEARED), "AVX512"))
    assert ast.literal_eval(done.stdout) == SWITCHES | dict.fromkeys(CLEARED)


@pytest.mark.parametrize("library", LIBRARIES)
def test_switches_that_would_come_too_late_are_refused(library: str) -> None:
    program = (
        f"import sys; sys.modules['{library}'] = sys; "
        "from eos.pipeline.processor import hold_to_portable_code; hold_to_portable_code()"
    )
    assert f"too late: {library} is loaded already" in python(program).stderr


@pytest.mark.parametrize("script", SCRIPTS)
def test_no_stage_loads_a_library_before_its_work(script: str) -> None:
    """The script is read and params.yaml is checked before the switches are set."""
    program = (
        f"import sys, runpy; runpy.run_path('stages/{script}', run_name='stage'); "
        "from eos.pipeline import command; command.parameters(); "
        f"print({set(LIBRARIES)} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"


def test_why_a_machine_cannot(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(processor.platform, "machine", lambda: "aarch64")
        assert "on aarch64 is not Linux on x86-64" in str(why_not_portable())
    with monkeypatch.context() as patch:
        patch.setattr(processor.sys, "platform", "darwin")
        assert "is not Linux on x86-64" in str(why_not_portable())
    with monkeypatch.context() as patch:
        patch.setattr(processor.sys, "platform", "linux")
        patch.setattr(processor.platform, "machine", lambda: "x86_64")
        for flags, reason in (
            ("fpu avx avx512f", "this processor has no AVX2 and no FMA"),
            ("fpu avx2", "this processor has no FMA"),
            ("fpu fma avx avx2", None),
        ):
            text = f"flags\t\t: {flags}\nbugs\t\t:\n"
            patch.setattr(processor.Path, "read_text", lambda *_, text=text, **__: text)
            assert why_not_portable() == reason


@pytest.mark.slow
@pytest.mark.skipif(why_not_portable() is not None, reason=str(why_not_portable()))
def test_the_libraries_run_the_code_that_the_switches_name() -> None:
    """A library that does not know a switch, or reads it no more, would take the fastest code again."""
    program = (
        "from eos.pipeline.processor import hold_to_portable_code; hold_to_portable_code(); "
        "import numpy, scipy.linalg, torch; from threadpoolctl import threadpool_info; numpy.show_runtime(); "
        "print(torch.backends.cpu.get_cpu_capability(), torch.get_num_threads(), "
        "sorted({(one.get('architecture'), one['num_threads']) for one in threadpool_info()}, key=str))"
    )
    done = python(program, OMP_NUM_THREADS="2", NPY_ENABLE_CPU_FEATURES="")
    assert "'found': ['X86_V3']" in done.stdout
    assert done.stdout.splitlines()[-1] == "AVX2 1 [('Haswell', 1), (None, 1)]"
    assert done.stderr == ""


@pytest.mark.slow
@pytest.mark.skipif(why_not_portable() is not None, reason=str(why_not_portable()))
def test_what_the_environment_says_changes_no_byte() -> None:
    """Networks, generators, samplers, heads, t-SNE, figures: what `tools/other_processor.sh` compares."""
    older = {"ATEN_CPU_CAPABILITY": "default", "OPENBLAS_CORETYPE": "Nehalem", "ONEDNN_MAX_CPU_ISA": "SSE41"}

    def digests(*options: str, **environment: str) -> list[str]:
        command = [sys.executable, "tests/digests.py", *options]
        settings = os.environ | environment
        done = subprocess.run(command, cwd=ROOT, env=settings, capture_output=True, text=True, check=True)
        return done.stdout.splitlines()

    held = digests()
    assert len(held) > 30
    assert digests(**older) == held
    # Without the switches it does change them: the comparison can tell.
    assert digests("--without", "all", **older) != held
