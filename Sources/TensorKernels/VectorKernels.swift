import CKernels

/// The instruction sets that the hot loops exist for, each including the ones before it.
package enum InstructionSet: UInt32, CaseIterable, Comparable, Sendable {
    /// SSE2 on x86-64, NEON on ARM64.
    case baseline

    /// With fused multiply-add.
    case avx2

    /// F, BW, DQ and VL.
    case avx512

    /// The highest one that this CPU and its operating system can run.
    package static let best = InstructionSet(rawValue: beltwatch_best_instruction_set().rawValue) ?? .baseline

    package static func < (one: InstructionSet, other: InstructionSet) -> Bool { one.rawValue < other.rawValue }
}

/// The hot loops of one instruction set, in C; what they compute is described in `CKernels.h`.
struct VectorKernels: Sendable {
    /// How many channels the transforms handle side by side.
    static let lanes = BELTWATCH_LANES

    /// How many columns of a panel matrix lie side by side.
    static let panelColumns = BELTWATCH_PANEL_COLUMNS

    /// The C functions; a constant table that nobody writes to.
    nonisolated(unsafe) let functions: UnsafePointer<beltwatch_vector_kernels>

    /// - Precondition: The CPU has the instruction set.
    init(_ instructionSet: InstructionSet = .best) {
        precondition(instructionSet <= .best, "this CPU does not run \(instructionSet)")
        guard let functions = beltwatch_vector_kernels_for(.init(rawValue: instructionSet.rawValue)) else {
            preconditionFailure("this build has no kernels for \(instructionSet)")
        }
        self.functions = functions
    }

    var name: String { String(cString: functions.pointee.name) }
}
