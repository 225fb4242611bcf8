"""``python -m gradc`` is the command line ``gradc``."""

from gradc.cli import main

if __name__ == "__main__":
    main()
