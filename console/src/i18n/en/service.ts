export const service = {
  status: {
    creating: "Creating",
    normal: "Normal",
    error: "Error",
    quarantined: "Quarantined",
    unhealthy: "Unhealthy",
  },
};
