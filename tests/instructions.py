"""Something that happens before the n-th instruction of some code."""

import sys
import threading


def interrupt():
    """Do what Ctrl-C does."""
    raise KeyboardInterrupt


def at_instruction(n, filename, action, work):
    """Do some work, and something else before the n-th instruction of a file's code.

    An interrupt that this raises ends the work. All happens in a thread of its own: Python
    forgets to end the handling of an error in which a tracing function raises another.

    Returns
    -------
    reached : bool
        Whether there are so many instructions.
    """
    left, failures = n, []

    def trace(frame, event, _):
        nonlocal left
        if frame.f_code.co_filename != filename:
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            left -= 1
            if left == 0:
                action()
        return trace

    def traced():
        sys.settrace(trace)
        try:
            work()
        except KeyboardInterrupt:
            pass
        except BaseException as error:
            failures.append(error)
        finally:
            sys.settrace(None)

    thread = threading.Thread(target=traced)
    thread.start()
    thread.join()
    if failures:
        raise failures[0]
    return left <= 0
