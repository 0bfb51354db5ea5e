/// The generator's own random numbers: SplitMix64 (Steele, Lea & Flood 2014, "Fast splittable pseudorandom number
/// generators").
///
/// Everything is integer arithmetic or a single correctly rounded IEEE operation, so a seed gives the same pictures on
/// every x86-64 machine. Independent aspects of a picture draw from streams of their own (`stream(_:)`): a defect can
/// be added without moving anything else.
public struct RandomSource: Hashable, Sendable {
    private var state: UInt64

    public init(seed: UInt64) {
        state = seed
    }

    /// The next 64 bits.
    public mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        return Self.scramble(state)
    }

    /// An independent source for one aspect, which depends on the seed and on `label` alone.
    ///
    /// Draw from it, not from `self`: this source does not advance.
    public func stream(_ label: UInt64) -> RandomSource {
        RandomSource(seed: Self.scramble(state &+ Self.scramble(label &+ 0xD1B5_4A32_D192_ED03)))
    }

    /// A number in `0..<1`, a multiple of 2⁻²⁴ and so exact in `Float`.
    public mutating func unit() -> Float {
        Float(next() >> 40) * 0x1p-24
    }

    /// A number between the bounds of `range`.
    public mutating func uniform(_ range: ClosedRange<Float>) -> Float {
        range.lowerBound + (range.upperBound - range.lowerBound) * unit()
    }

    /// A whole number in `0..<bound`.
    ///
    /// The high half of a 64×64 product: its bias, below 2⁻⁵⁸ for the few dozen values asked for here, is never seen.
    public mutating func index(below bound: Int) -> Int {
        Int(next().multipliedFullWidth(by: UInt64(bound)).high)
    }

    /// True with the given probability.
    public mutating func chance(_ probability: Float) -> Bool {
        unit() < probability
    }

    /// One element, all equally likely.
    ///
    /// - Precondition: `elements` is not empty.
    public mutating func pick<Element>(_ elements: [Element]) -> Element {
        elements[index(below: elements.count)]
    }

    /// The elements in random order (Fisher–Yates).
    public mutating func shuffled<Element>(_ elements: [Element]) -> [Element] {
        var elements = elements
        for last in stride(from: elements.count - 1, to: 0, by: -1) {
            elements.swapAt(last, index(below: last + 1))
        }
        return elements
    }

    /// A unit vector, uniform in angle.
    ///
    /// A point of the disc, scaled to the circle: no sine, whose last bit differs between math libraries.
    mutating func direction() -> Vector {
        while true {
            let point = Vector(uniform(-1...1), uniform(-1...1))
            let length = point.length
            if length > 0.1, length <= 1 { return point / length }
        }
    }

    /// A direction turned from the x axis by a small angle of at most `limit` radians.
    ///
    /// With t = tan(θ/2): cos θ = (1 − t²)/(1 + t²), sin θ = 2t/(1 + t²); for the few degrees used here t ≈ θ/2.
    mutating func smallTurn(limit: Float) -> Vector {
        let t = uniform(-limit...limit) / 2
        return Vector((1 - t * t) / (1 + t * t), 2 * t / (1 + t * t))
    }

    /// SplitMix64's output function, which also serves as the hash of lattice points.
    static func scramble(_ value: UInt64) -> UInt64 {
        var z = value
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
