import ConvNets
import TensorKernels

/// `BranchNetworks` made ready for many frames: weights transformed, memory laid out, both branches in one program.
///
/// The teacher's and the student's last layers are never computed as such. With the teacher's statistics μ, σ folded in,
/// each map is the mean square of one convolution of stacked features,
/// `T̂ − S₁ = (W_T ∗ t − σ·W_S₁ ∗ s)/σ + (b_T − μ)/σ − b_S₁` and `A − S₂ = W_A ∗ a − W_S₂ ∗ s + b_A − b_S₂`, and the pooled
/// features come from sums over what the last layer reads (ENGINE §3). So do LA-EAD's, whose extractor begins beside teacher
/// and student, on the same tiles of the picture. All of it is exact but for rounding.
public final class BranchProgram: BranchObserver {
    private let program: InferenceProgram
    private let input: PlaneImage
    private let studentTeacher: PlaneImage
    private let autoencoderStudent: PlaneImage
    private let pooled: PooledValues

    /// The teacher's transformed weights, which models of several recipes share.
    let teacher: PreparedTeacher

    /// - Parameters:
    ///   - teacher: Of another program with the same teacher; nil transforms the teacher's weights anew.
    ///   - threads: How many threads compute at once, the caller included; at least 1.
    convenience public init(_ networks: BranchNetworks, sharingTeacherOf other: BranchProgram? = nil, threads: Int) {
        self.init(networks, sharingTeacherOf: other, threads: threads, instructionSet: .best)
    }

    init(
        _ networks: BranchNetworks, sharingTeacherOf other: BranchProgram? = nil, threads: Int,
        instructionSet: InstructionSet
    ) {
        let own = networks.teacher.network
        if let shared = other?.teacher, shared.parameters == own.parameters {
            teacher = shared
        } else {
            teacher = PreparedTeacher(own, threads: threads, instructionSet: instructionSet)
        }
        var builder = BranchProgramBuilder(
            networks: networks, teacher: teacher, threads: threads, instructionSet: instructionSet)
        program = builder.build()
        input = builder.input
        studentTeacher = builder.studentTeacher
        autoencoderStudent = builder.autoencoderStudent
        pooled = builder.pooled
    }

    /// What `BranchNetworks.observe` gives, but for rounding.
    ///
    /// The same image gives the same bits whatever the number of threads. Safe to call from several threads at once; each
    /// call then takes memory of its own.
    ///
    /// - Parameter image: ImageNet-normalised, `[3, 256, 256]`.
    public func observe(_ image: Tensor) -> BranchNetworks.Observation { observe(image) { _ in } }

    /// - Parameter finished: Called after every phase with its name, for measurements.
    package func observe(_ image: Tensor, finished: (String) -> Void) -> BranchNetworks.Observation {
        precondition(
            image.shape == [input.channels, input.height, input.width],
            "the networks take images of shape [\(input.channels), \(input.height), \(input.width)], not \(image.shape)"
        )
        return program.run { memory in
            image.values.withUnsafeBufferPointer { values in
                guard let values = values.baseAddress else { return }
                (memory + input.offset).update(from: values, count: input.count)
            }
        } finished: {
            finished($0)
        } collect: { memory in
            BranchNetworks.Observation(
                maps: AnomalyMaps(
                    studentTeacher: studentTeacher.tensor(in: memory),
                    autoencoderStudent: autoencoderStudent.tensor(in: memory)),
                pooledFeatures: pooled.values(in: memory))
        }
    }

    /// Memory of one frame in flight, in bytes: activations, transformed tiles and the threads' scratch.
    public var activationBytes: Int { program.memoryBytes }
}

extension BranchNetworks {
    /// The fastest way to observe pictures with these networks, prepared for many of them.
    ///
    /// - Parameters:
    ///   - other: A program whose prepared teacher is used again if it is the same; nil prepares one.
    ///   - threads: How many threads compute at once, the caller included; at least 1.
    public func fastestObserver(sharingTeacherOf other: BranchProgram? = nil, threads: Int) -> BranchProgram {
        BranchProgram(self, sharingTeacherOf: other, threads: threads)
    }
}

extension PlaneImage {
    fileprivate func tensor(in memory: UnsafePointer<Float>) -> Tensor {
        Tensor(
            shape: [channels, height, width],
            values: Array(UnsafeBufferPointer(start: memory + offset, count: count)))
    }
}
