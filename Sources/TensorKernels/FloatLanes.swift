/// Sixteen neighbouring numbers, computed at once.
typealias FloatLanes = SIMD16<Float>

extension SIMD16<Float> {
    /// Sixteen floats from `pointer` on, aligned or not.
    @inline(__always)
    init(at pointer: UnsafePointer<Float>) {
        self = UnsafeRawPointer(pointer).loadUnaligned(as: Self.self)
    }

    @inline(__always)
    init(at pointer: UnsafeMutablePointer<Float>) {
        self.init(at: UnsafePointer(pointer))
    }

    @inline(__always)
    func store(at pointer: UnsafeMutablePointer<Float>) {
        UnsafeMutableRawPointer(pointer).storeBytes(of: self, as: Self.self)
    }

    /// Stores the first `count` of the sixteen.
    @inline(__always)
    func store(first count: Int, at pointer: UnsafeMutablePointer<Float>) {
        guard count < Self.scalarCount else { return store(at: pointer) }
        for lane in 0..<count { pointer[lane] = self[lane] }
    }

    /// `eˣ` of numbers that are not positive, within 1.5e-7 of the true value; NaN stays NaN.
    ///
    /// `eˣ = 2ⁿ·eʳ` with n the whole number next to x/ln 2, so |r| ≤ ½ ln 2, where the Taylor polynomial of degree 7 is off
    /// by 5e-9. Below −87 the result is that of −87, 1.6e-38.
    @inline(__always)
    static func exponential(ofNonPositive x: Self) -> Self {
        let lowest = Self(repeating: -87)
        let x = x.replacing(with: lowest, where: x .< lowest)
        // Adding 1.5·2²³ leaves no bits for a fraction: the lowest bits of the sum are n.
        let toWhole = Self(repeating: 0x1.8p23)
        let shifted = x * Self(repeating: 1.442_695_04) + toWhole
        let n = shifted - toWhole
        // ln 2 in two parts, the first of 9 bits, so that n times it is exact.
        let r = (x - n * Self(repeating: 0.693_359_375)) + n * Self(repeating: 2.121_944_4e-4)
        var power = Self(repeating: 1 / 5040)
        for factorial in [720, 120, 24, 6, 2, 1, 1] as [Float] { power = power * r + Self(repeating: 1 / factorial) }
        let exponent = unsafeBitCast(shifted, to: SIMD16<Int32>.self) &<< 23
        return power * unsafeBitCast(exponent &+ SIMD16<Int32>(repeating: 127 << 23), to: Self.self)
    }
}
