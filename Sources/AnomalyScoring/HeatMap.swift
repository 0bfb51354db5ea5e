import Glibc
import Imaging
import TensorKernels

/// A picture with its anomaly map on top, for people.
public enum HeatMap {
    /// Mixes the picture's grey values with a colour for the map's value.
    ///
    /// 0 is dark blue, 0.1 — the value that one good cell in 200 reaches — yellow, 0.3 and above red: the same colours
    /// in every picture, so that two maps can be compared. A map that the logistic function brought to 0…1 is brought
    /// back first, so that the colours mean the same for every method: exactly where both of the maps that it combines say
    /// the same, and nearly elsewhere.
    ///
    /// What the networks do not look at, the frame of zeros around a padded map (`MapOptions.padMaps`), stays grey.
    ///
    /// - Parameters:
    ///   - map: The canonical map, `[1, 256, 256]`.
    ///   - options: How it was made.
    /// - Returns: 256×256 RGB pixels.
    public static func overlay(_ map: Tensor, options: MapOptions, on image: ModelImage) -> [UInt8] {
        precondition(map.count * 3 == image.pixels.count, "the map is not the picture's")
        var pixels = image.pixels
        // Four of 64 cells on each side, and half a cell of what is interpolated.
        let seen = options.padMaps ? 18..<ModelImage.side - 18 : 0..<ModelImage.side
        for i in 0..<map.count {
            let (y, x) = i.quotientAndRemainder(dividingBy: ModelImage.side)
            let grey = (299 * Int(pixels[3 * i]) + 587 * Int(pixels[3 * i + 1]) + 114 * Int(pixels[3 * i + 2])) / 1000
            guard seen.contains(y), seen.contains(x) else {
                for channel in 0..<3 { pixels[3 * i + channel] = UInt8(grey) }
                continue
            }
            let value = map.values[i]
            let colour = colour(of: options.logistic ? log(value / (1 - value)) : value)
            let parts = [colour.red, colour.green, colour.blue]
            for channel in 0..<3 {
                pixels[3 * i + channel] = UInt8(clamping: Int(0.5 * Float(grey) + 127.5 * parts[channel]))
            }
        }
        return pixels
    }

    private static func colour(of value: Float) -> (red: Float, green: Float, blue: Float) {
        let stops: [(value: Float, red: Float, green: Float, blue: Float)] = [
            (-0.05, 0, 0, 0.4), (0.05, 0, 0.5, 0.6), (0.1, 1, 0.9, 0), (0.3, 1, 0, 0),
        ]
        guard let above = stops.firstIndex(where: { value < $0.value }) else { return (1, 0, 0) }
        guard above > 0 else { return (0, 0, 0.4) }
        let (low, high) = (stops[above - 1], stops[above])
        let share = (value - low.value) / (high.value - low.value)
        func mix(_ a: Float, _ b: Float) -> Float { a + share * (b - a) }
        return (mix(low.red, high.red), mix(low.green, high.green), mix(low.blue, high.blue))
    }
}
