/// What makes a kit complete.
///
/// - One upper compartment holds three hex nuts, the other two washers: either way round.
/// - One lower compartment holds a screw and two pins, the other a cap and an O-ring: either way round.
/// - Nothing lies anywhere else.
///
/// Where in its compartment a part lies, how it is turned, and which way round the tray travels are free.
enum KitRule {
    static let upperFillings: [[PartKind]] = [[.hexNut, .hexNut, .hexNut], [.washer, .washer]]
    static let lowerFillings: [[PartKind]] = [[.screw, .pin, .pin], [.cap, .oRing]]

    /// How a kit breaks the rule.
    enum Violation: Hashable, Sendable {
        /// The two fillings of a row are not what they should be.
        case upperRow
        case lowerRow
        /// So many parts lie outside every compartment.
        case outsideCompartments(count: Int)
    }

    /// Everything that is wrong with a kit, judged by where its parts lie; empty for a good one.
    static func violations(of kit: Kit) -> [Violation] {
        var found: [Violation] = []
        if !agree([.upperLeft, .upperRight].map(kit.contents), with: upperFillings) { found.append(.upperRow) }
        if !agree([.lowerLeft, .lowerRight].map(kit.contents), with: lowerFillings) { found.append(.lowerRow) }
        let outside = kit.parts.count { $0.compartment == nil }
        if outside > 0 { found.append(.outsideCompartments(count: outside)) }
        return found
    }

    /// A permitted choice of what goes where.
    static func fillings(using random: inout RandomSource) -> [(Compartment, [PartKind])] {
        let upper = random.shuffled(upperFillings)
        let lower = random.shuffled(lowerFillings)
        return [
            (.upperLeft, upper[0]), (.upperRight, upper[1]), (.lowerLeft, lower[0]), (.lowerRight, lower[1]),
        ]
    }

    private static func agree(_ contents: [[PartKind: Int]], with fillings: [[PartKind]]) -> Bool {
        let wanted = fillings.map { kinds in
            kinds.reduce(into: [:]) { counts, kind in counts[kind, default: 0] += 1 }
        }
        return contents == wanted || contents == wanted.reversed()
    }
}
