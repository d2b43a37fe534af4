"""`python -m sealer` is the command `sealer`."""

from sealer.cli import main

if __name__ == "__main__":
    main()
