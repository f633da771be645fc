"""What a run takes from the socket, as CodeCarbon estimates it; nothing is sent anywhere and no file is written."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any


class EnergyMeter:
    """Energy since the start of a run, in kWh, and what it emits where the country is known.

    CodeCarbon reads what counters of the machine there are, and estimates the rest from the processor's name, its load
    and the memory. A run in one process is charged with its own load and memory, several with those of the machine.

    Args:
        config: Settings of the run.
        history: Records of its epochs before it was resumed.
    """

    def __init__(self, config: Any, history: Sequence[Mapping[str, Any]]) -> None:
        last = history[-1] if history else {}
        self.kwh: float = float(last.get("energy_kwh") or 0.0)
        self._country = config["country_iso_code"]
        self.co2_kg: float | None = None if self._country is None else float(last.get("co2_kg") or 0.0)
        self._mode = "process" if config["nproc"] == 1 else "machine"
        self._tracker: Any = None

    def start(self) -> None:
        """Measure from now on; a meter that fails is left out, and that is said once."""
        try:
            from codecarbon import OfflineEmissionsTracker

            logging.getLogger("codecarbon").setLevel(logging.CRITICAL)
            # Without a country there is no intensity: 0 stands for it, and no emissions are reported.
            intensity = {} if self._country else {"force_carbon_intensity_g_co2e_kwh": 0}
            self._tracker = OfflineEmissionsTracker(
                country_iso_code=self._country or "USA",
                tracking_mode=self._mode,
                # Whatever the user's file for CodeCarbon says: nothing leaves the machine.
                output_methods=[],
                output_handlers=[],
                emissions_endpoint=None,
                electricitymaps_api_token="",
                allow_multiple_runs=True,
                log_level="critical",
                **intensity,
            )
            self._tracker.start_task("0")
        except Exception as error:
            self._leave(error)

    def read(self) -> dict[str, float]:
        """``energy_kwh`` and ``co2_kg`` so far; empty where nothing is measured."""
        if self._tracker is None:
            return {}
        try:
            spent = self._tracker.stop_task()
            self._tracker.start_task()
        except Exception as error:
            self._leave(error)
            return {}
        self.kwh += float(spent.energy_consumed)
        emitted = {}
        if self.co2_kg is not None:
            self.co2_kg += float(spent.emissions)
            emitted = {"co2_kg": self.co2_kg}
        return {"energy_kwh": self.kwh, **emitted}

    def stop(self) -> dict[str, Any] | None:
        """End it; ``kwh``, ``co2_kg``, ``country`` and ``measured`` (process or machine), or None where it failed."""
        if not self.read():
            return None
        tracker, self._tracker = self._tracker, None
        try:
            tracker.stop()
        except Exception as error:  # all has been read
            logging.getLogger().debug(f"CodeCarbon: {error}")
        return {"kwh": self.kwh, "co2_kg": self.co2_kg, "country": self._country, "measured": self._mode}

    def _leave(self, error: Exception) -> None:
        self._tracker = None
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        logging.getLogger().warning(f"energy is not measured any more: {reason}")
