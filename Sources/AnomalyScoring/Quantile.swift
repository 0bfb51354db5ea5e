/// The q-quantile with linear interpolation at rank `q·(n − 1)`, as PyTorch and NumPy have it (ALGORITHMS §4.1).
///
/// - Parameters:
///   - q: 0…1.
///   - values: In any order, at least one, all finite.
public func quantile(_ q: Double, of values: [Float]) -> Double {
    precondition((0...1).contains(q) && !values.isEmpty, "no quantile \(q) of \(values.count) values")
    let rank = q * Double(values.count - 1)
    let lowerRank = Int(rank)
    var values = values
    values.select(lowerRank)
    let below = Double(values[lowerRank])
    guard let above = values[(lowerRank + 1)...].min() else { return below }
    return below + (rank - Double(lowerRank)) * (Double(above) - below)
}

extension [Float] {
    /// Hoare's FIND (1961): afterwards `self[rank]` is what sorting would put there, and nothing behind it is smaller.
    fileprivate mutating func select(_ rank: Int) {
        var (low, high) = (0, count - 1)
        while low < high {
            let pivot = self[rank]
            var (i, j) = (low, high)
            repeat {
                while self[i] < pivot { i += 1 }
                while pivot < self[j] { j -= 1 }
                if i <= j {
                    swapAt(i, j)
                    i += 1
                    j -= 1
                }
            } while i <= j
            if j < rank { low = i }
            if rank < i { high = j }
        }
    }
}
