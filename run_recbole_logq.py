"""Train and test a model: ``python run_recbole_logq.py --model=TwoTowerCorrectedLogQ --dataset=ml-1m``."""

import sys

from recbole_logq.cli import main

if __name__ == "__main__":
    sys.exit(main())
