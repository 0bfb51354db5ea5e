import ArgumentParser
import Foundation
import Imaging

/// A length of time on the command line: `90s`, `250ms`, `10min`, `1.5h`.
struct DurationArgument: ExpressibleByArgument {
    let duration: Duration

    init(duration: Duration) { self.duration = duration }

    init?(argument: String) {
        let units: [(suffix: String, seconds: Double)] = [("ms", 1e-3), ("min", 60), ("m", 60), ("s", 1), ("h", 3600)]
        guard let unit = units.first(where: { argument.hasSuffix($0.suffix) }),
            let number = Double(argument.dropLast(unit.suffix.count)), number.isFinite, number >= 0,
            number * unit.seconds < 1e9
        else { return nil }
        duration = .nanoseconds(Int64((number * unit.seconds * 1e9).rounded()))
    }

    /// As help texts show the default.
    var defaultValueDescription: String { "\(duration.seconds.formatted())s" }
}

/// An amount of memory on the command line: `512MiB`, `4GiB`.
struct ByteCountArgument: ExpressibleByArgument {
    let count: Int

    init?(argument: String) {
        let units: [(suffix: String, factor: Double)] = [("KiB", 0x1p10), ("MiB", 0x1p20), ("GiB", 0x1p30)]
        guard let unit = units.first(where: { argument.hasSuffix($0.suffix) }),
            let number = Double(argument.dropLast(unit.suffix.count)), number.isFinite, number >= 0,
            number * unit.factor < 0x1p60
        else { return nil }
        count = Int(number * unit.factor)
    }

    /// As help texts show the default.
    var defaultValueDescription: String { "\(count >> 20)MiB" }
}

/// A rectangle in source pixels on the command line: `X,Y,WIDTH,HEIGHT`.
struct RegionArgument: ExpressibleByArgument {
    let region: RegionOfInterest

    init?(argument: String) {
        let numbers = argument.split(separator: ",", omittingEmptySubsequences: false).map { Int($0) }
        guard numbers.count == 4, let x = numbers[0], let y = numbers[1], let width = numbers[2],
            let height = numbers[3], x >= 0, y >= 0, width > 0, height > 0
        else { return nil }
        region = RegionOfInterest(x: x, y: y, width: width, height: height)
    }
}
