package realnet

const childEnv = "HEIBAN_REALNET_CHILD"

func runChild() {}
