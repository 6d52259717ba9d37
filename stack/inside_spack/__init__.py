"""Edge. Small scripts that Spack's own Python runs (`spack python FILE`): the standard library and Spack alone.

Only what Spack's command line cannot do stands here. Each is handed its input as a JSON file by a path in its first
argument, and begins by checking that Spack is the version it was written for.
"""
