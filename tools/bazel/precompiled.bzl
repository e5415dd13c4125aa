"""precompiled_header: parses others' headers once, for every source that includes it first."""

load("@bazel_tools//tools/build_defs/cc:action_names.bzl", "CPP_COMPILE_ACTION_NAME")
load("@bazel_tools//tools/cpp:toolchain_utils.bzl", "find_cpp_toolchain")

def _precompiled_header_impl(ctx):
    toolchain = find_cpp_toolchain(ctx)
    features = cc_common.configure_features(
        ctx = ctx,
        cc_toolchain = toolchain,
        requested_features = ctx.features,
        unsupported_features = ctx.disabled_features,
    )
    output = ctx.actions.declare_file(ctx.label.name + ".pch")
    variables = cc_common.create_compile_variables(
        feature_configuration = features,
        cc_toolchain = toolchain,
        # The standard input: a source would be named by its absolute path, which differs from sandbox to sandbox.
        source_file = "-",
        output_file = output.path,
        user_compile_flags = ctx.fragments.cpp.copts + ctx.fragments.cpp.cxxopts + ctx.attr.copts + [
            # What is in /usr may carry other times on the machine that wrote a shared cache.
            "-Xclang",
            "-fno-pch-timestamp",
            # Templates that these headers use are instantiated once, here.
            "-fpch-instantiate-templates",
        ],
        use_pic = True,
    )
    compiler = cc_common.get_tool_for_action(
        feature_configuration = features,
        action_name = CPP_COMPILE_ACTION_NAME,
    )
    ctx.actions.run_shell(
        command = "printf '#include <%s>\\n' {} | \"$@\"".format(" ".join(ctx.attr.includes)),
        arguments = [compiler, "-x", "c++-header"] + cc_common.get_memory_inefficient_command_line(
            feature_configuration = features,
            action_name = CPP_COMPILE_ACTION_NAME,
            variables = variables,
        ),
        # The versions of the headers' packages: an upgraded one is parsed anew.
        env = dict(cc_common.get_environment_variables(
            feature_configuration = features,
            action_name = CPP_COMPILE_ACTION_NAME,
            variables = variables,
        ), PACKAGES = " ".join([
            define
            for dep in ctx.attr.deps
            for define in dep[CcInfo].compilation_context.defines.to_list()
        ])),
        inputs = toolchain.all_files,
        outputs = [output],
        mnemonic = "CppPrecompile",
        progress_message = "Precompiling headers: %s" % ctx.label,
    )
    return [DefaultInfo(files = depset([output]))]

precompiled_header = rule(
    implementation = _precompiled_header_impl,
    doc = "NAME.pch: headers as clang has parsed them, with the flags of this configuration and `copts`.",
    attrs = {
        "copts": attr.string_list(doc = "Those of the targets that use it; they must not differ."),
        "deps": attr.label_list(doc = "Whose headers they are.", providers = [CcInfo]),
        "includes": attr.string_list(mandatory = True, doc = "System headers, as in #include <...>."),
        "_cc_toolchain": attr.label(default = "@bazel_tools//tools/cpp:current_cc_toolchain"),
    },
    fragments = ["cpp"],
    toolchains = ["@bazel_tools//tools/cpp:toolchain_type"],
)
