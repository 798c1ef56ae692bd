"""Waiting for something to become true, always with a deadline. The only place that sleeps."""
import time


def wait_for(probe, seconds, what, every=0.05):
    """Calls `probe` until it returns something true and returns that; fails after `seconds`.

    `what` completes the sentence "waited … s for". It may be a function, asked only on failure.
    """
    deadline = time.monotonic() + seconds
    while True:
        found = probe()
        if found:
            return found
        if time.monotonic() >= deadline:
            text = what() if callable(what) else what
            raise AssertionError(f"waited {seconds} s for {text}")
        time.sleep(every)
