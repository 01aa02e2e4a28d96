/**
 * What the addresses of a container are.
 *
 * - `map-all`: guest-physical. Everything that the guest has as memory is mapped.
 * - `guest-visible`: those of a virtual IOMMU, which the guest programs; the devices behind one bridge of the guest share
 *   them, and no others.
 */
export type IommuModel = { readonly kind: 'map-all' } | { readonly kind: 'guest-visible'; readonly bridge: string };

/** The model that a device needs. @param bridge The guest's bridge whose virtual IOMMU the device is behind, if it is. */
export function modelFor(bridge: string | undefined): IommuModel {
  return bridge === undefined ? { kind: 'map-all' } : { kind: 'guest-visible', bridge };
}

/** Whether a device that needs the one works with the other. */
export function sameModel(a: IommuModel, b: IommuModel): boolean {
  return nameOf(a) === nameOf(b);
}

/** For messages: `map-all`, `guest-visible (bridge pcie.1)`. */
export function nameOf(model: IommuModel): string {
  return model.kind === 'map-all' ? model.kind : `${model.kind} (bridge ${model.bridge})`;
}
