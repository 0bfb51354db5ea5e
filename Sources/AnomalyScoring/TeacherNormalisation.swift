import ConvNets
import TensorKernels

/// `T̂ = (W ∗ t + b − μ)/σ` as weights and biases: what the teacher's statistics do to its last layer.
struct TeacherNormalisation {
    /// σ, 1 for dead channels.
    let deviation: [Float]

    /// 0 for dead channels of the teacher, which are zero whatever their weights say, and 1 for the others.
    let life: [Float]
    private let mean: [Float]

    var hasDeadChannels: Bool { life.contains(0) }

    init(_ statistics: ChannelStatistics) {
        mean = statistics.mean
        life = statistics.deviation.map { $0 > 0 ? 1 : 0 }
        deviation = statistics.deviation.map { $0 > 0 ? $0 : 1 }
    }

    /// W/σ.
    func weights(_ teacher: Tensor) -> Tensor {
        let size = teacher.count / mean.count
        var scaled = teacher
        for index in scaled.values.indices {
            let channel = index / size
            scaled.values[index] *= life[channel] / deviation[channel]
        }
        return scaled
    }

    /// (b − μ)/σ.
    func bias(_ teacher: [Float]) -> [Float] {
        mean.indices.map { life[$0] * (teacher[$0] - mean[$0]) / deviation[$0] }
    }

    /// The bias of `T̂ − S₁`.
    func differenceBias(teacher: [Float], student: [Float]) -> [Float] {
        zip(bias(teacher), student).map { $0 - $1 }
    }
}
