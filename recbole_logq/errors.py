"""The two kinds of failure that a command reports in one line, without a traceback."""

import re


class RequestError(ValueError):
    """The request cannot be carried out as it was made: exit status 2.

    An unknown name, a wrong type, an impossible combination. Raised before any work starts; the message names what to
    write instead.
    """

    exit_status = 2


class WorkError(RuntimeError):
    """The request was fine but the work failed: exit status 1.

    No network, a damaged file, a full disk. The message says what the user can do about it.
    """

    exit_status = 1


class PeerLostError(WorkError):
    """Another process of the same run has ended, and this one cannot go on without it."""


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory was asked for and not there; torch has no class for that on the CPU."""
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError)
        and (type(error).__name__ == "OutOfMemoryError" or "DefaultCPUAllocator" in str(error))
    )


_OF_MODELS = re.compile(r"recbole\.model\.\w+_recommender\.")


def failure_of_a_model(error: BaseException) -> str | None:
    """What to say of an error in the code of one of RecBole's models or of its trainer; None for any other.

    They check few of their settings, so that a bad one shows in the middle of the work.
    """
    place, model = error.__traceback__, None
    while place is not None and model is None:
        frame, place = place.tb_frame, place.tb_next
        module, owner = str(frame.f_globals.get("__name__")), frame.f_locals.get("self")
        if _OF_MODELS.match(module):
            model = module.rpartition(".")[2] if owner is None else type(owner).__name__
        elif place is None and module == "recbole.trainer.trainer":
            model = getattr(owner, "config", {"model": "the model"})["model"]
    if model is None:
        return None
    reason = (str(error).strip().splitlines() or ["no message"])[0]
    return (
        f"{model} failed, {type(error).__name__}: {reason}; compare its settings with RecBole's defaults "
        "(--debug=true shows where)"
    )
