import Testing

@testable import TensorKernels

@Suite struct AffineMapTests {
    /// `[1 2]·x + 3` of what `[2 0]·x − 1` and `[4]·x + 0.25` make of the parts of a vector.
    @Test func mapsOfPartsAndOfMapsMatchTheWorkedExample() {
        let parts = AffineMap.stacked([
            AffineMap(weights: Tensor(shape: [1, 2, 1, 1], values: [2, 0]), bias: [-1]),
            AffineMap(weights: Tensor(shape: [1, 1, 1, 1], values: [4]), bias: [0.25]),
        ])
        #expect(parts.weights == Tensor(shape: [2, 3, 1, 1], values: [2, 0, 0, 0, 0, 4]))
        #expect(parts.bias == [-1, 0.25])
        let map = AffineMap(weights: Tensor(shape: [1, 2, 1, 1], values: [1, 2]), bias: [3]).after(parts)
        #expect(map.weights == Tensor(shape: [1, 3, 1, 1], values: [2, 0, 8]))
        #expect(map.bias == [2.5])
    }

    /// Sums whose large parts cancel, which `Float` would lose.
    @Test func productsAreInDouble() {
        let inner = AffineMap(weights: Tensor(shape: [2, 1, 1, 1], values: [16_777_216, 1]), bias: [0, 0])
        let middle = AffineMap(weights: Tensor(shape: [2, 2, 1, 1], values: [1, 1, 1, 0]), bias: [0, 0])
        let outer = AffineMap(weights: Tensor(shape: [1, 2, 1, 1], values: [1, -1]), bias: [0])
        #expect(outer.after(middle.after(inner)).weights.values == [1])
    }
}
