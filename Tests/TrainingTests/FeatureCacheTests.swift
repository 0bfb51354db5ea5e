import TensorKernels
import Testing

@testable import Training

@Suite struct FeatureCacheTests {
    /// Ten floats: 40 bytes.
    private func features(_ index: Int) -> Tensor { Tensor(shape: [10], repeating: Float(index)) }

    @Test func rememberedFeaturesAreNotComputedAgain() {
        var cache = FeatureCache(capacity: 1 << 20)
        var computed: [Int] = []
        for index in [0, 1, 2, 1, 0, 2, 3] {
            let found = cache.features(of: index) {
                computed.append(index)
                return features(index)
            }
            #expect(found == features(index))
        }
        #expect(computed == [0, 1, 2, 3])
    }

    @Test(arguments: [(0, 0), (39, 0), (40, 1), (119, 2), (120, 3)])
    func whatDoesNotFitIsComputedEveryTime(capacity: Int, remembered: Int) {
        var cache = FeatureCache(capacity: capacity)
        var computations = 0
        for _ in 0..<3 {
            for index in 0..<5 {
                let found = cache.features(of: index) {
                    computations += 1
                    return features(index)
                }
                #expect(found == features(index))
            }
        }
        #expect(computations == 3 * 5 - 2 * remembered)
    }
}
