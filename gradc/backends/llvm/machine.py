"""This machine, as LLVM sees it, and what LLVM does to a module. All of it is made on first use."""

from __future__ import annotations

from functools import cache
from typing import Any

from gradc.ir.target import Target


@cache
def host() -> Target:
    """The machine that we run on."""
    binding = _binding()
    features = binding.get_host_cpu_features()
    wide = next((bits for name, bits in (("avx512f", 512), ("avx", 256)) if features.get(name)), 128)
    triple = binding.get_process_triple()
    fused = bool(features.get("fma")) or triple.startswith(("aarch64", "arm64"))
    many = bool(features.get("avx512f")) or triple.startswith(("aarch64", "arm64"))
    return Target(triple, binding.get_host_cpu_name(), features.flatten(), wide, 32 if many else 16, fused)


@cache
def target_machine(target: Target, *, quick: bool = False) -> Any:
    """LLVM's description of a target, shared by all compilations.

    ``quick`` makes plain code, whose values live in memory, in a fifth of the time.
    """
    binding = _binding()
    own = binding.get_process_triple()
    if target.triple not in ("", own):
        binding.initialize_all_targets()
        binding.initialize_all_asmprinters()
    return binding.Target.from_triple(target.triple or own).create_target_machine(
        cpu=target.cpu, features=target.features, opt=0 if quick else 2, reloc="pic", codemodel="default", jit=False,
        abiname=target.abi,
    )  # fmt: skip


@cache
def pointer_bits(target: Target) -> int:
    """How wide an address is."""
    return 32 if "-p:32:32" in str(target_machine(target).target_data) else 64


def parse(ir: str, target: Target) -> Any:
    """The module of an IR text, verified. Raises RuntimeError where the text is not valid IR."""
    module = _binding().parse_assembly(ir)
    module.verify()
    machine = target_machine(target)
    module.triple = machine.triple
    module.data_layout = str(machine.target_data)
    return module


def tidy(module: Any, target: Target) -> None:
    """Run the few passes that functions profit from whose loops and vectors are written as they should run.

    All others together take several times as long, and what they add is within a few per cent.
    """
    binding = _binding()
    machine = target_machine(target)
    passes = binding.create_new_module_pass_manager()
    passes.add_always_inliner_pass()
    passes.add_sroa_pass()
    passes.add_simplify_cfg_pass()
    passes.add_instruction_combine_pass()
    builder = binding.create_pass_builder(machine, binding.create_pipeline_tuning_options(speed_level=2))
    passes.run(module, builder)


@cache
def _binding() -> Any:
    import llvmlite.binding as binding

    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    binding.initialize_native_asmparser()  # for the one instruction that has no IR, cpuid
    return binding
