import TensorKernels

/// Remembers the frozen teacher's features of training pictures, up to a number of bytes.
///
/// The teacher never changes and the pictures of L_hard are not augmented, so its answer is the same in every epoch:
/// 4.8 MB per picture save about a tenth of a step's multiplications (ALGORITHMS §3.3). What does not fit is computed
/// again each time.
struct FeatureCache: Sendable {
    private var features: [Int: Tensor] = [:]
    private var byteCount = 0
    private let capacity: Int

    /// - Parameter capacity: In bytes; 0 remembers nothing.
    init(capacity: Int) {
        self.capacity = capacity
    }

    /// The features of picture `index`, from memory where they are, else from `compute`.
    mutating func features(of index: Int, compute: () -> Tensor) -> Tensor {
        if let known = features[index] { return known }
        let computed = compute()
        let size = computed.count * MemoryLayout<Float>.size
        if byteCount + size <= capacity {
            features[index] = computed
            byteCount += size
        }
        return computed
    }
}
