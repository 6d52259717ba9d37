"""Edge. Small scripts that Spack's own Python runs (`spack python FILE`): the standard library and Spack alone.

Only what Spack's command line cannot do stands here. `solve` and `wanted` are handed their input as a JSON file by a
path in their last argument, and begin by checking that Spack is the version that it names. `index` takes no input.
"""
