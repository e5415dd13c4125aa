"""Whether a peer can be had here. If not, its figures are "not measured", with the reason, and the run goes on."""

import shutil
import subprocess


class PeerUnavailable(Exception):
    """The peer cannot be measured on this machine; the text says why."""


def have_program(name, purpose):
    if shutil.which(name) is None:
        raise PeerUnavailable(f"`{name}` is not installed (needed: {purpose})")


def run_setup(command, failure, timeout=540, environment=None, folder=None):
    """Runs a step that brings or builds a peer."""
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout,
                              check=False, env=environment, cwd=folder)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PeerUnavailable(f"{failure}: {error}") from error
    if done.returncode:
        words = (done.stderr or done.stdout).strip().splitlines()
        raise PeerUnavailable(f"{failure}: {words[-1][:300] if words else done.returncode}")
