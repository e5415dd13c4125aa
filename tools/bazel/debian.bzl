"""Makes installed Debian libraries available as cc_library targets."""

def _run(ctx, arguments, hint):
    result = ctx.execute(arguments)
    if result.return_code:
        fail("{}\n{}".format(hint, result.stderr))
    return result.stdout.strip()

def _debian_packages_impl(ctx):
    hint = "Missing packages? Run: apt-get install " + " ".join(ctx.attr.packages.keys())
    build = ["package(default_visibility = [\"//visibility:public\"])\n"]
    for package, libraries in ctx.attr.packages.items():
        version = _run(ctx, ["dpkg-query", "--show", "--showformat=${Version}", package], hint)

        # Files in /usr are not inputs of Bazel's actions, but command lines are
        # part of their cache key: an upgraded package is compiled and linked anew.
        stamp = "DEBIAN_{}={}".format(
            package.upper().replace("-", "_").replace("+", "X"),
            version,
        )
        for library in libraries:
            name, separator, flags = library.partition("=")
            if not separator:
                flags = _run(ctx, ["pkg-config", "--libs", name], hint)
            linkopts = [flag for flag in flags.split(" ") if flag]
            build.append("""\
cc_library(
    name = "{}",
    defines = ["{}"],
    linkopts = {},
)
""".format(name, stamp, ["-Wl,--as-needed", "-pthread", "-D" + stamp] + linkopts))
    ctx.file("BUILD.bazel", "\n".join(build))

debian_packages = repository_rule(
    implementation = _debian_packages_impl,
    doc = "Declares a cc_library for each library of Debian packages.",
    attrs = {"packages": attr.string_list_dict(mandatory = True)},
    configure = True,
    local = True,
)
