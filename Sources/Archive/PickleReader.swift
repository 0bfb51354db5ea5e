/// Reads a pickle without running anything: the opcodes of protocols 2 to 4 that `torch.save` uses, and of all the
/// classes and functions that a pickle can name only those that are known to be data.
///
/// PyTorch's own unpickler imports and calls whatever the file names, so opening a file is running it. Here a name is
/// text; calling it is understood for the few that build tensors and containers, gives an inert record for classes of
/// plain data, and is refused for everything else.
struct PickleReader {
    /// Longest accepted pickle, 4 MiB; the tensors' numbers are not in it.
    static let maximumByteCount = 4 << 20

    /// Most values that are accepted; a training checkpoint has a few thousand.
    static let maximumObjectCount = 1 << 18

    /// Most places in tuples, lists and dictionaries together: an element that is recalled takes two bytes of a pickle
    /// and a place in every container that it is put into.
    static let maximumElementCount = 1 << 20

    /// Longest accepted name of a module, class or function, in UTF-8 bytes.
    static let maximumNameByteCount = 256

    /// Classes whose objects become records, by the beginning of their names: layers, and the settings that anomalib puts
    /// beside its weights.
    static let recordPrefixes = ["torch.nn.modules.", "torchvision.transforms.", "anomalib.", "pathlib."]

    private let bytes: [UInt8]
    private var position = 0
    private var objects = PickledObjects()
    private var stack: [PickledObjects.Reference] = []

    /// Heights of the stack at the marks that are still open.
    private var marks: [Int] = []
    private var memo: [UInt32: PickledObjects.Reference] = [:]
    private var remainingElements = Self.maximumElementCount

    /// - Throws: The first thing that is not understood, with its place.
    static func read(_ bytes: [UInt8]) throws(PickleError) -> (objects: PickledObjects, root: PickledObjects.Reference)
    {
        guard bytes.count <= maximumByteCount else { throw .tooLong(byteCount: bytes.count) }
        var reader = PickleReader(bytes: bytes)
        let root = try reader.run()
        return (reader.objects, root)
    }

    private init(bytes: [UInt8]) { self.bytes = bytes }

    private mutating func run() throws(PickleError) -> PickledObjects.Reference {
        while true {
            let start = position
            let opcode = try byte()
            if opcode == UInt8(ascii: ".") {
                guard position == bytes.count, stack.count == 1, marks.isEmpty else { throw .malformed(offset: start) }
                return stack[0]
            }
            guard try execute(opcode) else { throw .unknownOpcode(opcode, offset: start) }
        }
    }

    /// - Returns: Whether the opcode is one of those that are understood.
    private mutating func execute(_ opcode: UInt8) throws(PickleError) -> Bool {
        if try pushScalar(opcode) { return true }
        if try buildContainer(opcode) { return true }
        switch opcode {
        case 0x80:  // PROTO
            let version = try byte()
            guard (2...4).contains(version) else { throw .protocolVersion(Int(version)) }
        case 0x95: _ = try integer(UInt64.self)  // FRAME: its length says nothing that is needed
        case UInt8(ascii: "("): marks.append(stack.count)
        case UInt8(ascii: "0"): _ = try pop()
        case UInt8(ascii: "1"): _ = try popToMark()
        case UInt8(ascii: "q"): try remember(UInt32(try byte()))
        case UInt8(ascii: "r"): try remember(try integer())
        case 0x94: try remember(UInt32(memo.count))  // MEMOIZE
        case UInt8(ascii: "h"): try recall(UInt32(try byte()))
        case UInt8(ascii: "j"): try recall(try integer())
        case UInt8(ascii: "c"):  // GLOBAL
            let module = try line()
            try push(.name(try Self.name(try line(), in: module)))
        case 0x93:  // STACK_GLOBAL
            guard let name = objects.text(try pop()), let module = objects.text(try pop()) else { throw malformed }
            try push(.name(try Self.name(name, in: module)))
        case UInt8(ascii: "R"), 0x81:  // REDUCE, NEWOBJ
            let arguments = try pop()
            try call(try pop(), with: arguments)
        case UInt8(ascii: "b"): try build()
        case UInt8(ascii: "Q"): try push(.storage(try storage(named: try pop())))
        default: return false
        }
        return true
    }

    private mutating func pushScalar(_ opcode: UInt8) throws(PickleError) -> Bool {
        switch opcode {
        case UInt8(ascii: "N"): try push(.none)
        case 0x88: try push(.boolean(true))
        case 0x89: try push(.boolean(false))
        case UInt8(ascii: "J"): try push(.integer(Int64(Int32(bitPattern: try integer()))))
        case UInt8(ascii: "K"): try push(.integer(Int64(try byte())))
        case UInt8(ascii: "M"): try push(.integer(Int64(try integer(UInt16.self))))
        case 0x8A: try push(.integer(try longInteger(byteCount: Int(try byte()))))
        case UInt8(ascii: "G"):  // BINFLOAT, the one big-endian number
            try push(.float(Double(bitPattern: UInt64(littleEndian: try integer()).byteSwapped)))
        case UInt8(ascii: "X"): try push(.text(try text(Int(try integer(UInt32.self)))))
        case 0x8C: try push(.text(try text(Int(try byte()))))
        case UInt8(ascii: "B"):
            _ = try take(Int(try integer(UInt32.self)))
            try push(.bytes)
        case UInt8(ascii: "C"):
            _ = try take(Int(try byte()))
            try push(.bytes)
        default: return false
        }
        return true
    }

    private mutating func buildContainer(_ opcode: UInt8) throws(PickleError) -> Bool {
        switch opcode {
        case UInt8(ascii: ")"), UInt8(ascii: "]"), 0x8F: try push(.sequence([]))  // (), [], set()
        case UInt8(ascii: "}"): try push(.mapping([]))
        case UInt8(ascii: "t"), UInt8(ascii: "l"): try push(.sequence(try popToMark()))
        case 0x85: try push(.sequence(try pop(1)))
        case 0x86: try push(.sequence(try pop(2)))
        case 0x87: try push(.sequence(try pop(3)))
        case UInt8(ascii: "a"): try append(try pop(1))
        case UInt8(ascii: "e"), 0x90: try append(try popToMark())
        case UInt8(ascii: "s"): try set(try pop(2))
        case UInt8(ascii: "u"): try set(try popToMark())
        default: return false
        }
        return true
    }

    // A container's elements lie in memory of its own: a call that copies one is charged for all of them, so that adding
    // to either afterwards costs no more than what is added.

    private mutating func append(_ items: [PickledObjects.Reference]) throws(PickleError) {
        let list = try top()
        guard case .sequence(var all) = objects[list] else { throw malformed }
        // Moved out and back in, so that appending one by one does not copy the list each time.
        objects[list] = .none
        all += items
        objects[list] = .sequence(all)
    }

    private mutating func set(_ items: [PickledObjects.Reference]) throws(PickleError) {
        let dictionary = try top()
        guard items.count % 2 == 0 else { throw malformed }
        switch objects[dictionary] {
        case .mapping(var pairs):
            objects[dictionary] = .none
            for position in stride(from: 0, to: items.count, by: 2) {
                pairs.append((items[position], items[position + 1]))
            }
            objects[dictionary] = .mapping(pairs)
        case .record: break  // An object that is a dictionary, too; what it holds is not needed.
        default: throw malformed
        }
    }

    // MARK: Names

    private static func name(_ name: String, in module: String) throws(PickleError) -> String {
        // Before they are joined: both may be recalled, and each time would be a copy of them.
        for text in [module, name] where text.utf8.count > maximumNameByteCount {
            throw .nameTooLong(byteCount: text.utf8.count)
        }
        // Python 2's name of the built-in module is what protocol 2 writes to this day.
        return "\(module == "__builtin__" ? "builtins" : module).\(name)"
    }

    private mutating func call(
        _ callee: PickledObjects.Reference, with reference: PickledObjects.Reference
    ) throws(PickleError) {
        guard case .name(let name) = objects[callee], let arguments = objects.sequence(reference) else {
            throw malformed
        }
        switch name {
        case "torch._utils._rebuild_tensor_v2":
            try push(.tensor(try tensor(arguments)))
        case "torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state":
            guard let tensor = arguments.first, case .tensor(let value) = objects[tensor] else { throw malformed }
            try push(.tensor(value))
        case "collections.OrderedDict":
            var pairs: [(key: PickledObjects.Reference, value: PickledObjects.Reference)] = []
            let items = arguments.first.flatMap { objects.sequence($0) } ?? []
            try charge(items.count)
            for pair in items {
                guard let pair = objects.sequence(pair), pair.count == 2 else { throw malformed }
                pairs.append((pair[0], pair[1]))
            }
            try push(.mapping(pairs))
        case "builtins.set", "torch.Size":
            let items = arguments.first.flatMap { objects.sequence($0) } ?? []
            try charge(items.count)
            // `map` copies, and the new container shares no memory with the one it was made from.
            try push(.sequence(items.map { $0 }))
        case _ where Self.recordPrefixes.contains(where: name.hasPrefix):
            try push(.record(className: name, state: nil))
        default:
            throw .foreignName(name)
        }
    }

    /// Gives an object its state.
    private mutating func build() throws(PickleError) {
        let state = try pop()
        let object = try top()
        switch objects[object] {
        case .record(let name, _): objects[object] = .record(className: name, state: state)
        // An OrderedDict with attributes: the `_metadata` of a state_dict.
        case .mapping: break
        default: throw malformed
        }
    }

    private func storage(named reference: PickledObjects.Reference) throws(PickleError) -> PickledStorage {
        // ('storage', class, key, device, number of elements)
        guard let parts = objects.sequence(reference), parts.count == 5, objects.text(parts[0]) == "storage",
            case .name(let name) = objects[parts[1]], let key = objects.text(parts[2]),
            let count = objects.integer(parts[4]), count >= 0
        else { throw malformed }
        guard let type = PyTorchElementType(rawValue: name) else { throw .elementType(name) }
        return PickledStorage(type: type, key: key, elementCount: count)
    }

    private func tensor(_ arguments: [PickledObjects.Reference]) throws(PickleError) -> PickledTensor {
        // (storage, offset, shape, strides, requires_grad, hooks)
        guard arguments.count >= 4, case .storage(let storage) = objects[arguments[0]],
            let offset = objects.integer(arguments[1]), let shape = objects.integers(arguments[2]),
            let strides = objects.integers(arguments[3])
        else { throw malformed }
        guard let tensor = PickledTensor(storage: storage, offset: offset, shape: shape, strides: strides) else {
            throw .tensorOutsideStorage(key: storage.key, shape: shape, elementCount: storage.elementCount)
        }
        return tensor
    }

    // MARK: Stack

    private mutating func push(_ value: PickledObjects.Value) throws(PickleError) {
        guard objects.count < Self.maximumObjectCount else { throw .tooManyObjects }
        stack.append(objects.add(value))
    }

    private mutating func remember(_ number: UInt32) throws(PickleError) {
        guard memo.count < Self.maximumObjectCount else { throw .tooManyObjects }
        memo[number] = try top()
    }

    private mutating func recall(_ number: UInt32) throws(PickleError) {
        guard let reference = memo[number] else { throw malformed }
        stack.append(reference)
    }

    private func top() throws(PickleError) -> PickledObjects.Reference {
        guard let reference = stack.last, stack.count > marks.last ?? 0 else { throw malformed }
        return reference
    }

    private mutating func pop() throws(PickleError) -> PickledObjects.Reference {
        let reference = try top()
        stack.removeLast()
        return reference
    }

    /// The elements of a container, the one that was pushed last at the end.
    private mutating func pop(_ count: Int) throws(PickleError) -> [PickledObjects.Reference] {
        guard count <= stack.count - (marks.last ?? 0) else { throw malformed }
        try charge(count)
        defer { stack.removeLast(count) }
        return Array(stack.suffix(count))
    }

    private mutating func popToMark() throws(PickleError) -> [PickledObjects.Reference] {
        guard let height = marks.popLast() else { throw malformed }
        try charge(stack.count - height)
        defer { stack.removeSubrange(height...) }
        return Array(stack[height...])
    }

    private mutating func charge(_ elementCount: Int) throws(PickleError) {
        guard elementCount <= remainingElements else { throw .tooManyElements }
        remainingElements -= elementCount
    }

    // MARK: Bytes

    private var malformed: PickleError { .malformed(offset: position) }

    private mutating func take(_ count: Int) throws(PickleError) -> ArraySlice<UInt8> {
        guard count <= bytes.count - position else { throw .endsEarly }
        defer { position += count }
        return bytes[position..<position + count]
    }

    private mutating func byte() throws(PickleError) -> UInt8 {
        guard position < bytes.count else { throw .endsEarly }
        defer { position += 1 }
        return bytes[position]
    }

    private mutating func integer<Value: FixedWidthInteger & UnsignedInteger>(
        _: Value.Type = Value.self
    ) throws(PickleError) -> Value {
        try take(Value.bitWidth / 8).reversed().reduce(0) { $0 << 8 | Value($1) }
    }

    /// Two's complement, little endian, of up to eight bytes.
    private mutating func longInteger(byteCount: Int) throws(PickleError) -> Int64 {
        let digits = try take(byteCount)
        guard byteCount <= 8 else { throw malformed }
        let isNegative = digits.last.map { $0 >= 0x80 } ?? false
        return digits.reversed().reduce(isNegative ? -1 : 0) { $0 << 8 | Int64($1) }
    }

    private mutating func text(_ byteCount: Int) throws(PickleError) -> String {
        guard let text = String(validating: try take(byteCount), as: UTF8.self) else { throw malformed }
        return text
    }

    private mutating func line() throws(PickleError) -> String {
        guard let end = bytes[position...].firstIndex(of: UInt8(ascii: "\n")) else { throw .endsEarly }
        let line = try text(end - position)
        position += 1
        return line
    }
}

/// Why a pickle was refused.
public enum PickleError: Error, Hashable, Sendable, CustomStringConvertible {
    case tooLong(byteCount: Int)
    case tooManyObjects
    case tooManyElements
    case nameTooLong(byteCount: Int)
    case endsEarly
    case protocolVersion(Int)
    case unknownOpcode(UInt8, offset: Int)

    /// An opcode finds something else than it needs; the place is where reading stopped.
    case malformed(offset: Int)

    /// A class or function that is no plain data.
    case foreignName(String)
    case elementType(String)

    /// A view with elements that its storage does not have.
    case tensorOutsideStorage(key: String, shape: [Int], elementCount: Int)

    public var description: String {
        switch self {
        case .tooLong(let count):
            "its pickle has \(count) bytes, more than the \(PickleReader.maximumByteCount) allowed"
        case .tooManyObjects: "its pickle has more than the \(PickleReader.maximumObjectCount) values allowed"
        case .tooManyElements:
            "its pickle has containers of more than the \(PickleReader.maximumElementCount) elements allowed"
        case .nameTooLong(let count):
            "its pickle names a class with \(count) bytes, more than the \(PickleReader.maximumNameByteCount) allowed"
        case .endsEarly: "its pickle ends in its middle; the file is truncated or damaged"
        case .protocolVersion(let version): "its pickle has protocol \(version), and 2 to 4 are known"
        case .unknownOpcode(let opcode, let offset):
            "its pickle has the unknown opcode 0x\(String(opcode, radix: 16)) at byte \(offset)"
        case .malformed(let offset): "its pickle is malformed before byte \(offset)"
        case .foreignName(let name):
            """
            its pickle wants to call '\(name.legible)', and only tensors and plain containers are read, nothing is run; save the \
            weights alone in PyTorch: torch.save(model.state_dict(), 'weights.pth')
            """
        case .elementType(let name):
            "its pickle has a tensor of '\(name.legible)'; known are "
                + PyTorchElementType.allCases.map(\.rawValue).joined(separator: ", ")
        case .tensorOutsideStorage(let key, let shape, let count):
            """
            its pickle has a tensor of shape \(shape.legible) that does not fit its storage '\(key.legible)' of \(count) \
            elements
            """
        }
    }
}
