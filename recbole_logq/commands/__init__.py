"""The commands, one module each: ``USAGE``, and ``execute`` with the options that were given.

What a command needs is imported when it runs: asking for help, or a mistake in a flag, costs no second of torch.
"""
