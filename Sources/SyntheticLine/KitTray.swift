/// The tray: a moulded plate with four compartments, in its own frame with the origin in its middle.
///
/// The upper pair is lined with grey ribbed rubber, the lower pair with blue foam.
enum KitTray {
    static let halfSize = Vector(128, 112)
    static let cornerRadius: Float = 14
    static let compartmentHalfSize = Vector(57, 49)
    static let compartmentRadius: Float = 8

    /// Signed distance of the tray's outline.
    static func outline(_ point: Vector) -> Float {
        SignedDistance.roundedRectangle(point, halfSize: halfSize, radius: cornerRadius)
    }
}

/// One of the four compartments of the tray, named as the tray's own frame sees them.
enum Compartment: Int, CaseIterable, Codable, Hashable, Sendable {
    case upperLeft
    case upperRight
    case lowerLeft
    case lowerRight

    var isUpper: Bool { self == .upperLeft || self == .upperRight }

    var centre: Vector {
        switch self {
        case .upperLeft: Vector(-61, -53)
        case .upperRight: Vector(61, -53)
        case .lowerLeft: Vector(-61, 53)
        case .lowerRight: Vector(61, 53)
        }
    }

    /// Signed distance of the compartment's outline, in the tray's frame.
    func outline(_ point: Vector) -> Float {
        SignedDistance.roundedRectangle(
            point - centre, halfSize: KitTray.compartmentHalfSize, radius: KitTray.compartmentRadius)
    }

    /// The compartment in whose quarter of the tray the point lies.
    static func nearest(to point: Vector) -> Compartment {
        point.y < 0 ? (point.x < 0 ? .upperLeft : .upperRight) : (point.x < 0 ? .lowerLeft : .lowerRight)
    }
}
